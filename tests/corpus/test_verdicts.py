"""What `keras-tied check` says of the columns of other people's tables, beside what a
person says.

README.md has the person's rule, and `verdicts1.csv` and `verdicts2.csv` the verdicts.
"""

import csv
import json
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from keras_tied import cli

from .make import make

VERDICTS = {half: Path(__file__).with_name(f"verdicts{half}.csv") for half in (1, 2)}
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


def read_verdict(fact: dict) -> str:
    """Return the verdict that `check` gives, by what it says of a column."""
    reads_as, becomes = fact["reads_as"], fact["becomes"]
    if reads_as in ("row numbers", "ids"):
        return reads_as.removesuffix("s")
    if becomes == "refused":
        return "refused"
    if becomes.startswith("left out: "):
        reason = becomes.removeprefix("left out: ")
        return next(
            (BY_REASON[start] for start in BY_REASON if reason.startswith(start)),
            "text",
        )
    return "boolean" if " or " in reads_as else BY_FIRST_WORD[reads_as.split()[0]]


def agrees(said: str, verdict: str) -> bool:
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


@pytest.fixture
def check(monkeypatch, capfd, corpus):
    """Return what the command says of the columns of a table, in their order."""

    def run(table: str) -> list[dict]:
        path = corpus / f"{table}.csv"
        monkeypatch.setattr(sys, "argv", ["keras-tied", "check", str(path), "--json"])
        with pytest.raises(SystemExit):
            cli.main()
        return json.loads(capfd.readouterr().out)["columns"]

    return run


@pytest.mark.slow
def test_columns_read_as_a_person_reads_them(check):
    counts, misreadings = Counter(), []
    for half, path in VERDICTS.items():
        with open(path, newline="") as file:
            lines = list(csv.DictReader(file))
        tables = dict.fromkeys(line["table"] for line in lines)
        facts = [fact for table in tables for fact in check(table)]
        assert len(facts) == len(lines)
        for line, fact in zip(lines, facts, strict=True):
            verdict, said = line["verdict"], read_verdict(fact)
            kind = (
                "row numbers"
                if verdict in ("row number", "row number|id")
                else "others"
            )
            counts[half, kind, agrees(said, verdict)] += 1
            if not agrees(said, verdict):
                where = (
                    f"{line['table']}, {line['column']!r}"
                    f" ({', '.join(fact['examples'])})"
                )
                misreadings.append(
                    f"{half}: {where}: {verdict}, but said {fact['reads_as']},"
                    f" {fact['becomes']}"
                )
    print(*misreadings, sep="\n")
    for half, kind in product(VERDICTS, ("row numbers", "others")):
        read, misread = counts[half, kind, True], counts[half, kind, False]
        print(f"half {half}, {kind}: {misread} of {read + misread} misread")
    assert not any(counts[half, "row numbers", False] for half in VERDICTS)
    assert 1 - len(misreadings) / counts.total() >= LEAST_AGREEMENT
