"""What other packages of keras_tied may use of the layers besides the public names.

Not public: it can change with any version.
"""

from keras_tied.layers._kernel import kernel_of

__all__ = ["kernel_of"]
