"""`TiedAutoencoder`, a scikit-learn transformer that is never worse than PCA."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_tied.estimator._estimator import TiedAutoencoder
    from keras_tied.fitted.file import load

__all__ = ["TiedAutoencoder", "load"]


def __getattr__(name: str) -> Any:
    """Import the estimator when it is first used: the fitted value does without scikit-learn."""
    if name == "TiedAutoencoder":
        from keras_tied.estimator._estimator import TiedAutoencoder

        return TiedAutoencoder
    if name == "load":
        from keras_tied.fitted.file import load

        return load
    raise AttributeError(f"module 'keras_tied.estimator' has no attribute '{name}'")
