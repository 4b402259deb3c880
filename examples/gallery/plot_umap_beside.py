"""
Compared with UMAP
==================

Maps of the digits by methods that keep neighbours together, and by two that can also decode a point
of the map to a picture.
"""

from importlib.util import find_spec

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness

from tied_tables import TiedAutoencoder

X, y = load_digits(n_class=6, return_X_y=True)
X, y = X[:500], y[:500]
methods = {
    "PCA": PCA(2),
    "tied autoencoder": TiedAutoencoder(2, scaler=None, max_iter=60, random_state=0),
    "t-SNE": TSNE(random_state=0, max_iter=300),
}
if find_spec("umap"):  # pip install umap-learn
    from umap import UMAP

    methods["UMAP"] = UMAP(random_state=0, n_jobs=1)

size = 3.3 * len(methods), 3.6
figure, axes = plt.subplots(1, len(methods), figsize=size, layout="constrained")
for axis, (name, method) in zip(axes, methods.items(), strict=True):
    code = method.fit_transform(X)
    for digit in range(6):
        rows, colour = y == digit, plt.cm.tab10(digit)
        axis.scatter(
            *code[rows].T, s=24, marker=f"${digit}$", linewidths=0.3, color=colour
        )
    goes_back = (
        "goes back" if hasattr(method, "inverse_transform") else "does not go back"
    )
    trust = trustworthiness(X, code, n_neighbors=10)
    axis.set(title=f"{name}, {goes_back}\ntrustworthiness {trust:.2f}")
    axis.set(xlabel="unit 1", ylabel="unit 2", xticks=[], yticks=[])
plt.show()
