"""`TiedAutoencoder`, a scikit-learn transformer that is never worse than PCA."""

from tied_tables.estimator._estimator import TiedAutoencoder
from tied_tables.estimator._explanation import Explanation
from tied_tables.estimator._remedies import REMEDIES
from tied_tables.model.file import load

__all__ = ["REMEDIES", "Explanation", "TiedAutoencoder", "load"]
