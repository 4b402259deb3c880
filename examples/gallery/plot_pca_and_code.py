"""
PCA against the code
====================

Points along a curve, and their reconstruction from one number: PCA's is a line, the autoencoder's a
curve.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from tied_tables import TiedAutoencoder

rng = np.random.default_rng(0)
angle = rng.uniform(-2.4, 2.4, 900)
X = np.column_stack([np.sin(angle), np.cos(angle), 0.3 * angle]) + rng.normal(
    0, 0.06, (900, 3)
)
models = {"PCA": PCA(1), "tied autoencoder": TiedAutoencoder(1, random_state=0)}

plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(6, 4.6), layout="constrained")
axes.scatter(*X[:, :2].T, s=8, color="0.65", label="rows, two of three columns")
for (name, model), style in zip(models.items(), ("C1--", "C0-"), strict=True):
    code = model.fit(X).transform(X)
    ends = np.quantile(code, [0.001, 0.999])
    path = model.inverse_transform(np.linspace(*ends, 300)[:, None])
    error = np.mean((model.inverse_transform(code) - X) ** 2)
    axes.plot(*path[:, :2].T, style, linewidth=2.5, label=f"{name}, error {error:.4f}")
axes.set(xlabel="column 1", ylabel="column 2", aspect="equal")
axes.legend(loc="lower center", bbox_to_anchor=(0.5, 0.2), frameon=False)
plt.show()
