"""
A map of a table
================

Each point is a wine, placed by the code of eleven of its measurements and coloured by two others.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine

from tied_tables import TiedAutoencoder

wine = load_wine(as_frame=True).data
others = ["color_intensity", "flavanoids"]
code = TiedAutoencoder(2, random_state=0).fit_transform(wine.drop(columns=others))

figure, axes = plt.subplots(1, 2, figsize=(9, 3.9), sharey=True, layout="constrained")
for axis, name in zip(axes, others, strict=True):
    points = axis.scatter(*code.T, c=wine[name], cmap="viridis", s=28)
    axis.set(xlabel="unit 1", title=name.replace("_", " "))
    figure.colorbar(points, ax=axis)
axes[0].set_ylabel("unit 2")
plt.show()
