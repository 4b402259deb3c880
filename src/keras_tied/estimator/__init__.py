"""`TiedAutoencoder`, a scikit-learn transformer that is never worse than PCA."""

from keras_tied.estimator._estimator import TiedAutoencoder

__all__ = ["TiedAutoencoder"]
