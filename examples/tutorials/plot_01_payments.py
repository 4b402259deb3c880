"""
Which of these payments are wrong, and why?
===========================================

You have a table of payments, and nobody has marked the wrong ones. This tutorial trains a model on
the whole table, lists the oddest rows, and reads off why they are odd. The table is made up here,
and six errors are planted in it, so that the answer can be checked.
"""

# %%
# The table
# ---------
# A supplier sells one kind of goods, in one currency, at one rate of tax. Each payment has a price
# and a quantity, from which the net amount, the tax and the total follow.

import numpy as np
import pandas as pd

from tied_tables import TiedAutoencoder

rng = np.random.default_rng(0)
n = 3000
suppliers = pd.DataFrame(
    {
        "supplier": ["Aster", "Brook", "Cedar", "Dune", "Ember", "Fjord"],
        "goods": ["paper", "paper", "desks", "desks", "travel", "travel"],
        "currency": ["EUR", "SEK", "EUR", "CHF", "EUR", "NOK"],
        "price": [4.0, 45.0, 320.0, 350.0, 180.0, 2100.0],
        "rate": [0.19, 0.25, 0.19, 0.08, 0.07, 0.12],
    }
)
payments = suppliers.iloc[rng.integers(0, len(suppliers), n)].reset_index(drop=True)
payments["price"] = (payments["price"] * rng.normal(1, 0.1, n)).round(2)
payments["quantity"] = rng.integers(1, 20, n)
payments["net"] = (payments["price"] * payments["quantity"]).round(2)
payments["tax"] = (payments["net"] * payments.pop("rate")).round(2)
payments["total"] = (payments["net"] + payments["tax"]).round(2)
payments["due"] = pd.Timestamp("2026-01-31") + pd.to_timedelta(
    rng.integers(0, 300, n), "D"
)
payments["paid"] = payments["due"] + pd.to_timedelta(rng.integers(-9, 3, n), "D")
payments.index = [f"P{number:04}" for number in range(1, n + 1)]

# %%
# Six errors, of the kinds that people and programs make. Only the first can be found by looking at
# one column: in the others, each value is ordinary, but not in combination with the rest of its
# row.

errors = {
    "P0100": (
        "total",
        payments.loc["P0100", "total"] * 100,
    ),  # the decimal point was lost
    "P0300": (
        "price",
        round(payments.loc["P0300", "price"] * 10, 2),
    ),  # a digit too many
    "P0450": ("tax", 0.0),  # the total includes a tax
    "P0600": ("currency", "NOK"),  # the supplier is paid in euros
    "P0750": ("goods", "travel"),  # the supplier sells desks
    "P0880": (
        "paid",
        payments.loc["P0880", "due"] - pd.Timedelta(250, "D"),
    ),  # another year
}
for row, (column, value) in errors.items():
    payments.loc[row, column] = value
payments.loc[list(errors)]

# %%
# Train and score
# ---------------
# ``fit`` accepts a frame of numbers, text and dates, and needs no labels. The code has three
# numbers, too few to represent an error that only one row has.

autoencoder = TiedAutoencoder(3, max_iter=20, random_state=0).fit(payments)

# %%
# ``score_samples`` follows scikit-learn: a lower score is more unusual. ``rarity`` converts a score
# to "one row in how many", at most the number of training rows.

ranking = pd.DataFrame(
    {
        "score": -autoencoder.score_samples(payments),
        "one row in": autoencoder.rarity(payments).round(),
    },
    index=payments.index,
).sort_values("score", ascending=False)
ranking.head(9)

# %%
# The six planted rows are the first six of 3,000.

assert set(ranking.index[:6]) == set(errors)

# %%
# Why
# ---
# ``explain`` replaces one value of a row by the one that the other columns suggest, and scores the
# row again. The share of a column is the decrease of the outlier score. ``expected`` is the
# suggested value.

oddest = payments.loc[ranking.index[:6]]
reasons = autoencoder.explain(oddest)
shares = pd.DataFrame(reasons.shares, oddest.index, oddest.columns)
shares.round(2)

# %%
# Of each row, the column with the largest share:

column_of = shares.idxmax(axis=1)
likely = reasons.expected.round(dict.fromkeys(["price", "net", "tax", "total"], 2))
pd.DataFrame(
    {
        "column": column_of,
        "is": {row: oddest.loc[row, column] for row, column in column_of.items()},
        "the others suggest": {
            row: likely.loc[row, column] for row, column in column_of.items()
        },
    }
)

# %%
# It is the column that was changed, in each of the six. The suggestion is a conditional mean, not a
# correction: it can be inaccurate if the other columns contain little information about the value.

assert dict(column_of) == {row: column for row, (column, _) in errors.items()}

# %%
# Choose a threshold
# ------------------
# Below the sixth row the scores fall to those of ordinary rows. ``contamination`` is the share of
# rows that ``predict`` calls outliers, 10 % by default. Choose it by the number of rows that
# somebody has time to check, not by the number of errors that you expect.
#
# At the shell the same takes two lines, and the second one prints the reasons:
#
# .. code-block:: sh
#
#     tied-tables fit payments.csv -o payments.safetensors --components 3 --id payment
#     tied-tables score payments.safetensors payments.csv --top 6
#
# Read next
# ---------
# - :ref:`sphx_glr_tutorials_plot_07_every_night.py` scores a new file every night.
# - :ref:`sphx_glr_gallery_plot_odd_row.py` draws the reasons of one row.
