"""
How do I score new rows every night, and hear of the odd ones?
==============================================================

A table arrives every night. This tutorial trains a model once, chooses a threshold, and then scores
a quiet night, a night with an odd row and a night on which a column has drifted. All it takes is
the command ``tied-tables`` and its exit code; the end has lines for cron and for GitHub Actions.
"""

# %%
# Train once
# ----------
# The tables are clients of a made-up shop. ``make_clients`` plants two odd rows in each table. They
# are removed from the history, which should contain only ordinary rows.

import json
import subprocess
import tempfile
from pathlib import Path

import pandas as pd

from tied_tables.datasets import make_clients

folder = Path(tempfile.mkdtemp())


def write_clients(name, n, seed, with_odd=False, raise_income=1.0):
    """Write a table of clients, two of which are odd where that is wanted."""
    table = pd.DataFrame(make_clients(n, random_state=seed))
    odd = table.index[[n // 3, 2 * n // 3]]
    table["income"] = (raise_income * table["income"]).round(-2)
    table["client"] = [f"{Path(name).stem}-{row}" for row in range(n)]
    table = table if with_odd else table.drop(index=odd)
    table.to_csv(folder / name, index=False)


def run(command):
    """Run a command in the folder, print it and what it prints, and return its exit code."""
    print("$", command)
    done = subprocess.run(
        command, cwd=folder, shell=True, text=True, capture_output=True
    )
    lines = (done.stdout + done.stderr).splitlines()
    print(*(line.rstrip() for line in lines if line.strip()), "", sep="\n")
    print("exit code", done.returncode)
    return done.returncode


write_clients("history.csv", 900, seed=0)
write_clients("last-week.csv", 400, seed=5)
write_clients("monday.csv", 200, seed=1)
write_clients("tuesday.csv", 200, seed=2, with_odd=True)
write_clients("wednesday.csv", 200, seed=3, raise_income=1.25)

command = "tied-tables fit history.csv -o clients.safetensors --components 3 --id client --quiet"
assert run(command) == 0

# %%
# Choose a threshold
# ------------------
# Choose the threshold on rows that the model was not trained on, such as those of last week. If the
# oddest of them are correct, set the threshold above their scores.

run(
    "tied-tables score clients.safetensors last-week.csv -o last-week-scores.csv --quiet"
)
scores = pd.read_csv(folder / "last-week-scores.csv")
print(scores.nlargest(3, "score").to_string(index=False))
threshold = round(1.2 * scores["score"].max())
print("threshold:", threshold)

# %%
# A quiet night
# -------------
# With ``--threshold``, the exit code is 3 if a row has this score or a higher one, and 0 otherwise.

assert (
    run(
        f"tied-tables score clients.safetensors monday.csv --top 1 --threshold {threshold}"
    )
    == 0
)

# %%
# A night with odd rows
# ---------------------
# The exit code is 3, and the output lists the rows and the reasons. An error, such as a missing
# file, exits with 1 or 2, so a script can distinguish them.

assert (
    run(
        f"tied-tables score clients.safetensors tuesday.csv --top 2 --threshold {threshold}"
    )
    == 3
)

# %%
# A night on which a column has drifted
# -------------------------------------
# Incomes are a quarter higher, and no single row is an outlier. ``report --against`` compares the
# columns of two tables. ``--json`` prints what it has found for a program to read, and the page is
# there for people.

command = "tied-tables report clients.safetensors wednesday.csv --against history.csv"
done = subprocess.run(
    f"{command} -o wednesday.html --json".split(),
    cwd=folder,
    capture_output=True,
    check=True,
)
facts = json.loads(done.stdout)
print(facts)
assert "income" in facts["drifted"]

# %%
# A single night of 200 rows shows a drift of this size. A small drift needs more rows: compare a
# week, or a month.
#
# With cron
# ---------
# Cron mails what a job prints. So the script prints only if something is odd.
#
# .. code-block:: sh
#
#     #!/bin/sh
#     # score-tonight: called by cron with "15 2 * * * /srv/clients/score-tonight"
#     cd /srv/clients
#     table=$(date +%F).csv
#     tied-tables score clients.safetensors "$table" --top 10 --threshold 60 > odd.txt 2>&1
#     [ $? = 0 ] || cat odd.txt
#
# With GitHub Actions
# -------------------
# The exit code fails the job, and GitHub mails whoever watches it. The page is kept either way.
#
# .. code-block:: yaml
#
#     on:
#       schedule: [{cron: "15 2 * * *"}]
#     jobs:
#       score:
#         runs-on: ubuntu-latest
#         steps:
#           - uses: actions/checkout@v7
#           - run: pip install "tied-tables[cli]"
#           - run: ./fetch-tonight > tonight.csv
#           - run: >-
#               tied-tables report clients.safetensors tonight.csv
#               --against history.csv -o tonight.html
#           - run: tied-tables score clients.safetensors tonight.csv --top 10 --threshold 60
#           - if: always()
#             uses: actions/upload-artifact@v7
#             with: {name: tonight, path: tonight.html}
#
# Read next
# ---------
# - :ref:`sphx_glr_tutorials_plot_01_payments.py` reads off the reasons in Python.
# - :ref:`sphx_glr_gallery_plot_drift.py` draws what has drifted.
