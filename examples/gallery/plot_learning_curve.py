"""
How many rows it takes
======================

The held-out error by the number of training rows: below 50 rows the autoencoder is PCA, and above
that its error is lower.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from tied_tables import TiedAutoencoder

rng = np.random.default_rng(0)
hidden = rng.normal(size=(2000, 2))
X = np.tanh(hidden @ rng.normal(size=(2, 16))) @ rng.normal(size=(16, 8))
X = (X + rng.normal(0, 0.1, X.shape)) / X.std(axis=0)
test = X[1000:]
sizes = [30, 50, 100, 200, 400, 800]
errors = {"PCA": [], "tied autoencoder": []}
for size in sizes:
    for name, make in {"PCA": PCA, "tied autoencoder": TiedAutoencoder}.items():
        model = make(2, random_state=0)
        code = model.fit(X[:size]).transform(test)
        errors[name].append(np.mean((model.inverse_transform(code) - test) ** 2))

plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
for (name, values), style in zip(errors.items(), ("C1s--", "C0o-"), strict=True):
    axes.plot(sizes, values, style, label=name)
axes.set(xlabel="rows to learn from", ylabel="squared error on rows held out", ylim=0)
axes.set_xscale("log")
axes.set_xticks(sizes, map(str, sizes), minor=False)
axes.set_xticks([], minor=True)
axes.legend(frameon=False)
plt.show()
