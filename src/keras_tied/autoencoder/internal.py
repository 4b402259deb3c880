"""What other packages of keras_tied may use of the autoencoder besides the public names.

Not public: it can change with any version.
"""

from keras_tied.autoencoder._pca_init import locate_pairs

__all__ = ["locate_pairs"]
