"""
Filling in
==========

The error of imputed values by the share of missing values, compared with scikit-learn's imputers.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.preprocessing import StandardScaler

from tied_tables import TiedAutoencoder

warnings.simplefilter("ignore")  # of an imputer that has not converged
X = StandardScaler().fit_transform(load_breast_cancer().data)[:, :10]
imputers = {
    "mean": SimpleImputer(),
    "5 nearest rows": KNNImputer(),
    "IterativeImputer": IterativeImputer(max_iter=5, random_state=0),
    "TiedAutoencoder": TiedAutoencoder(4, max_iter=5, random_state=0),
}
shares = [0.1, 0.25, 0.4]

plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
for (name, imputer), style in zip(
    imputers.items(), ("C4v:", "C3s--", "C1D-.", "C0o-"), strict=True
):
    errors = []
    for share in shares:
        is_gap = np.random.default_rng(0).uniform(size=X.shape) < share
        given = np.where(is_gap, np.nan, X)
        if name == "TiedAutoencoder":
            filled = imputer.fit(given).impute(given)
        else:
            filled = imputer.fit_transform(given)
        errors.append(np.mean((filled - X)[is_gap] ** 2))
    axes.plot(shares, errors, style, label=name)
axes.set(
    xlabel="share of values missing",
    ylabel="squared error of what was filled in",
    ylim=0,
)
axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 0.92))
plt.show()
