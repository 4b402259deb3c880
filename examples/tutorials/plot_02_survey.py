"""
How do I fill in the gaps of a survey, and write the file?
==========================================================

People skip questions. This tutorial fills in what they skipped, from what they did answer, and
writes the table back with every other cell as it was. The survey is made up, so that the answers
that are hidden here can be compared with what is filled in.
"""

# %%
# A survey with gaps
# ------------------
# Income depends on age and schooling, rent on income and town, and who lives in a village has a
# car. Numbers and dates are written as a spreadsheet in Germany would write them.

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from tied_tables import TiedAutoencoder

rng = np.random.default_rng(0)
n = 900
place = rng.choice(["village", "town", "city"], n, p=[0.3, 0.4, 0.3])
of_place = pd.Series(place).map({"village": 0, "town": 1, "city": 2}).to_numpy()
age = rng.integers(20, 70, n)
years = rng.choice([9, 12, 16], n)
income = 900 + 12 * age + 110 * years + rng.normal(0, 150, n)
rent = income * (0.18 + 0.06 * of_place) + rng.normal(0, 30, n)
truth = pd.DataFrame(
    {
        "person": [f"q{number:03}" for number in range(1, n + 1)],
        "place": place,
        "age": age,
        "school": pd.Series(years).map(
            {9: "basic", 12: "vocational", 16: "university"}
        ),
        "income": income.round(),
        "rent": rent.round(2),
        "car": np.where(rng.uniform(size=n) < 0.95 - 0.4 * of_place, "yes", "no"),
    }
)
is_gap = rng.uniform(size=truth.shape) < 0.12
is_gap[:, 0] = False  # everybody has a number
survey = truth.mask(is_gap)
survey.head()

# %%
# In Python
# ---------
# ``impute`` fills in missing values and changes nothing else. Column types are kept. The column of
# names is not an answer, so it is left out.

answers = survey.drop(columns="person")
autoencoder = TiedAutoencoder(3, random_state=0).fit(answers)
filled = autoencoder.impute(answers)
filled.head()

# %%
# How good is that? The usual baseline is the median of a column, or its most frequent answer.

usual = answers.fillna(answers.median(numeric_only=True)).fillna(answers.mode().iloc[0])
hidden = pd.DataFrame(is_gap, columns=truth.columns)
comparison = {}
for column in answers:
    rows = hidden[column]
    true, ours, theirs = (frame.loc[rows, column] for frame in (truth, filled, usual))
    if column in ("place", "school", "car"):
        of_all = f"right of {rows.sum()}"
        comparison[column] = (of_all, (ours == true).sum(), (theirs == true).sum())
    else:
        errors = (ours - true).abs().median(), (theirs - true).abs().median()
        comparison[column] = ("median error", *np.round(errors, 1))
comparison = pd.DataFrame(comparison, index=["", "impute", "median or mode"]).T
comparison

# %%
# The table above is the reason to fill in from the other columns.

for column, (measure, ours, theirs) in comparison.iterrows():
    assert ours < theirs if measure == "median error" else ours > theirs, column

# %%
# At the shell, with the file as it is written
# --------------------------------------------
# ``tied-tables fill`` copies the text of each cell that has a value. So ``1.234,50 €`` stays
# ``1.234,50 €``, and what is filled in is written in the same form.

folder = Path(tempfile.mkdtemp())
written = survey.copy()
for column in ("income", "rent"):
    numbers = survey[column].map("{:,.2f} €".format)
    written[column] = numbers.str.translate(str.maketrans(",.", ".,")).mask(
        hidden[column]
    )
written["age"] = survey["age"].astype("Int64")
written.to_csv(folder / "survey.csv", index=False)


def run(command):
    """Run a command in the folder, and print it and what it prints."""
    print("$", command)
    done = subprocess.run(
        command, cwd=folder, shell=True, text=True, capture_output=True
    )
    print(*map(str.rstrip, done.stdout.splitlines()), "", sep="\n")
    assert done.returncode == 0, done.stderr


run("tied-tables fit survey.csv -o survey.safetensors --components 3 --id person")
run("tied-tables fill survey.safetensors survey.csv -o filled.csv")

# %%
# The first rows before and after:

before, after = (
    (folder / name).read_text().splitlines() for name in ("survey.csv", "filled.csv")
)
print(*before[:6], "", *after[:6], sep="\n")

# %%
# No gap is left, and no other cell has changed.

read = {"dtype": str, "keep_default_na": False}
old, new = (pd.read_csv(folder / name, **read) for name in ("survey.csv", "filled.csv"))
assert (new != "").all(axis=None)
assert (old == new)[old != ""].stack().dropna().all()

# %%
# What to keep in mind
# --------------------
# Imputation adds no information about a person. Averages of the filled table are usable; its
# variance is too small, because a likely value is never an extreme one. Do not compute standard
# errors as if everybody had answered.
#
# Read next
# ---------
# - :ref:`sphx_glr_gallery_plot_imputation.py` compares filling in with scikit-learn's imputers.
# - :ref:`sphx_glr_tutorials_plot_01_payments.py` finds rows whose values contradict each other.
