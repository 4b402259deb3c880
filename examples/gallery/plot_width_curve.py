"""
How wide a code
===============

The error by the number of components: on rows held out it only falls, on values that
are hidden it has its least at the number to take.
"""

from keras_tied import comparison, plotting

import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
X = np.tanh(rng.normal(size=(300, 2)) @ rng.normal(size=(2, 16))) @ rng.normal(
    size=(16, 10)
)
X += rng.normal(0, 0.2 * X.std(axis=0), X.shape)  # two hidden numbers, and noise

curve = comparison.compare_widths(X, range(1, 5))
widths, errors, pca_errors, hidden_errors = zip(*curve, strict=True)
figure = plt.figure(figsize=(7, 4.4))
plotting.width_curve(
    widths, errors, pca_errors, hidden_errors=hidden_errors, figure=figure
)
best = comparison.choose_width(curve)
figure.axes[0].annotate(
    f"take {best}",
    (best, hidden_errors[best - 1]),
    xytext=(best + 0.4, 0.25),
    arrowprops={"arrowstyle": "->"},
)
plt.show()
