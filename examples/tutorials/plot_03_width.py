"""
How many numbers describe this table?
=====================================

A code of one number for each column describes a table without loss, and says nothing about it.
This tutorial finds the width at which a code holds what the columns have in common, and not what
only one of them has. The table is made of three hidden numbers, so that the answer is known.
"""

# %%
# Twelve columns that come from three
# -----------------------------------
# Each row is three hidden numbers, which act on all columns through a curve, and noise on top.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from tied_tables import TiedAutoencoder
from tied_tables.comparison import choose_width, compare_widths

rng = np.random.default_rng(1)
hidden = rng.normal(size=(600, 3))
X = np.tanh(1.5 * hidden @ rng.normal(size=(3, 24))) @ rng.normal(size=(24, 12))
X += rng.normal(0, 0.2 * X.std(axis=0), X.shape)

# %%
# What PCA says
# -------------
# PCA counts the flat directions that a curved surface needs, and not its dimensions. A usual rule
# takes as many as keep 90 % of the variance.

shares = PCA().fit(StandardScaler().fit_transform(X)).explained_variance_ratio_.cumsum()
print(shares.round(2))
print("components for 90 %:", int(np.searchsorted(shares, 0.9) + 1))

# %%
# Hide values, and reconstruct them
# ---------------------------------
# The error of held-out rows falls with each further component, so it cannot choose their number.
# The error of values that are *hidden* from the model can: they are reconstructed from the other
# columns of their row, which helps as long as a component holds something that columns share.
# ``compare_widths`` measures both.

curve = compare_widths(X, range(1, 6))
for width in curve:
    print(
        f"{width.n_components}  error {width.error:.3f}  hidden values {width.hidden_error:.3f}"
    )
print("chosen:", choose_width(curve))

assert choose_width(curve) == 3
assert np.searchsorted(shares, 0.9) + 1 > 3

# %%
# The error falls from left to right; the error of hidden values has a minimum in between.

plt.style.use("tableau-colorblind10")
widths = [width.n_components for width in curve]
figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
axes.plot(
    widths, [width.pca_error for width in curve], "s--", label="PCA, rows held out"
)
axes.plot(
    widths, [width.error for width in curve], "o-", label="autoencoder, rows held out"
)
axes.plot(
    widths,
    [width.hidden_error for width in curve],
    "D:",
    label="autoencoder, hidden values",
)
axes.axvline(choose_width(curve), color="0.6", linewidth=1, zorder=0)
axes.set(
    xlabel="components of the code", ylabel="mean squared error (1: the mean)", ylim=0
)
axes.legend(frameon=False)
figure.show()

# %%
# In one step
# -----------
# ``n_components="auto"`` does the same and keeps the best, for the time of a fit for each width
# from 1 to 16. ``tied-tables fit rows.csv --components 1..16`` does it at the shell. On
# four measurements of flowers:

iris = load_iris().data
autoencoder = TiedAutoencoder("auto", random_state=0).fit(iris)
print(
    f"{autoencoder.n_components_} of 4 numbers keep {autoencoder.reconstruction_r2_:.1%}"
)

# %%
# In a grid search, do not choose the width by ``score``: it is R² of the rows held out, which takes
# the widest code. Use it to choose other parameters, after the width.
#
# Read next
# ---------
# - :ref:`sphx_glr_gallery_plot_width_curve.py` draws the curve.
# - :ref:`sphx_glr_gallery_plot_pca_and_code.py` shows what a curved code gains over PCA.
