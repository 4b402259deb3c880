"""
How wide a code
===============

The error by the number of components: on held-out rows it only falls, on hidden values it has its
minimum at the number to choose.
"""

import matplotlib.pyplot as plt
import numpy as np

from tied_tables import comparison

rng = np.random.default_rng(0)
X = np.tanh(rng.normal(size=(300, 2)) @ rng.normal(size=(2, 16))) @ rng.normal(
    size=(16, 10)
)
X += rng.normal(0, 0.2 * X.std(axis=0), X.shape)  # two hidden numbers, and noise

curve = comparison.compare_widths(X, range(1, 5))
widths, errors, pca_errors, hidden_errors = zip(*curve, strict=True)
figure, axes = plt.subplots(figsize=(7, 4.4))
axes.plot(widths, errors, "o-", label="tied autoencoder")
axes.plot(widths, pca_errors, "o--", label="PCA")
axes.plot(widths, hidden_errors, "o:", color="black", label="hidden values")
axes.set(xlabel="number of components", ylabel="error", xticks=widths, ylim=(0, None))
axes.legend()
best = comparison.choose_width(curve)
axes.annotate(
    f"take {best}",
    (best, hidden_errors[best - 1]),
    xytext=(best + 0.4, 0.25),
    arrowprops={"arrowstyle": "->"},
)
plt.show()
