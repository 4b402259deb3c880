"""What `tied-tables check` says of the columns of other people's tables, beside what a
person says.

README.md has the person's rule, and `verdicts1.csv` and `verdicts2.csv` the verdicts.
"""

import subprocess
from pathlib import Path

import pandas as pd
import pytest
from tests.marks import slow
from tools.corpus import make

VERDICTS = sorted(Path(__file__).parent.glob("verdicts*.csv"))
LEAST_AGREEMENT = 0.98
BY_REASON = {"always ": "constant", "no value": "empty", "the same as ": "copy"}
BY_FIRST_WORD = {
    "names": "categories",
    "integers": "number",
    "numbers": "number",
    "boolean": "boolean",
    "booleans": "boolean",
    "categories": "categories",
    "codes": "categories",
    "dates": "time",
    "durations": "time",
    "months": "time",
    "quarters": "time",
    "times": "time",
}
NAMES = {"id", "row number", "text"}  # columns that name rows, and are not used
ROW_NUMBERS = {"row number", "row number|id"}


def read_verdict(fact):
    """Return the verdict that `check` gives, by what it says of a column."""
    reads_as, becomes = fact["reads_as"], fact["becomes"]
    if reads_as in ("row numbers", "ids"):
        return reads_as.removesuffix("s")
    if becomes == "refused":
        return "refused"
    if becomes.startswith("left out: "):
        reason = becomes.removeprefix("left out: ")
        known = [BY_REASON[start] for start in BY_REASON if reason.startswith(start)]
        return (known or ["text"])[0]
    return "boolean" if " or " in reads_as else BY_FIRST_WORD[reads_as.split()[0]]


def agrees(said, verdict):
    """Whether a person accepts what is said: of columns that are not used, whatever the
    reason.
    """
    allowed = set(verdict.split("|"))
    return said in allowed or (said in NAMES and bool(allowed & {"id", "text"}))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    try:
        make(folder)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"packages cannot be downloaded: {error.stderr.decode()[-200:]}")
    return folder


@slow
def test_columns_read_as_a_person_reads_them(tied_tables, corpus, monkeypatch):
    monkeypatch.chdir(corpus)
    n_columns, misread = 0, {}
    judged = pd.concat(pd.read_csv(path, keep_default_na=False) for path in VERDICTS)
    for table, lines in judged.groupby("table"):
        facts = tied_tables(f"check '{table}.csv' --json").json["columns"]
        n_columns += len(facts)
        for fact, verdict in zip(facts, lines["verdict"], strict=True):
            said = read_verdict(fact)
            if not agrees(said, verdict):
                misread[table, fact["name"]] = verdict, said, fact["examples"]
    print(*misread.items(), sep="\n")
    assert not any(verdict in ROW_NUMBERS for verdict, *_ in misread.values())
    assert len(misread) <= (1 - LEAST_AGREEMENT) * n_columns
