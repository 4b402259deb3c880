"""
Digits along two units
======================

The two numbers that an autoencoder and PCA keep of a digit's 64 pixels: the curved code keeps the
kinds of digits further apart.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from tied_tables import TiedAutoencoder

X, y = load_digits(return_X_y=True)
train, test = slice(None, 1200), slice(1200, None)
models = {
    "PCA": PCA(2),
    "tied autoencoder": TiedAutoencoder(2, scaler=None, max_iter=60, random_state=0),
}
figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
for axis, (name, model) in zip(axes, models.items(), strict=True):
    code = model.fit(X[train]).transform(X)
    neighbours = KNeighborsClassifier(10).fit(code[train], y[train])
    right = neighbours.score(code[test], y[test])
    for digit in range(10):
        rows = y == digit
        marker = (
            f"${digit}$"  # the digit itself: ten colours alone are hard to tell apart
        )
        axis.scatter(
            *code[rows].T,
            s=22,
            marker=marker,
            linewidths=0.3,
            color=plt.cm.tab10(digit),
        )
    axis.set(
        title=f"{name}: 10 neighbours know {right:.0%}",
        xlabel="unit 1",
        ylabel="unit 2",
    )
plt.show()
