"""
Scores of ordinary and of odd rows
==================================

Outlier scores of a table in which five rows were changed: each value of a changed row alone is
ordinary.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from tied_tables import TiedAutoencoder

X = load_breast_cancer().data[:, :10]
rng = np.random.default_rng(0)
changed = rng.choice(len(X), 5, replace=False)
for row in changed:
    column = rng.integers(10)
    X[row, column] = np.quantile(
        X[:, column], 0.98 if X[row, 0] < np.median(X[:, 0]) else 0.02
    )

autoencoder = TiedAutoencoder(3, random_state=0).fit(X)
scores = -autoencoder.score_samples(X)
rank = scores.argsort()[::-1].argsort() + 1

plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
axes.plot(rank, scores, ".", color="0.6", label="as it was")
axes.plot(rank[changed], scores[changed], "D", color="C1", label="with a changed value")
axes.axhline(-autoencoder.offset_, linestyle="--", linewidth=1, color="C0")
axes.text(
    len(X),
    -autoencoder.offset_ * 1.05,
    "predict: outlier above",
    ha="right",
    color="C0",
)
axes.set(xlabel="rank of the row", ylabel="outlier score", xscale="log", yscale="log")
axes.legend(frameon=False)
plt.show()
