"""`TiedAutoencoder`, a scikit-learn transformer that is never worse than PCA."""

from keras_tied.estimator._estimator import TiedAutoencoder
from keras_tied.fitted.file import load

__all__ = ["TiedAutoencoder", "load"]
