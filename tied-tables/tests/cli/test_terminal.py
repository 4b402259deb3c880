"""What a terminal shows: lines that are broken between words, and tables."""

import itertools
import os
import random
import sys

import pandas as pd
import pytest
from tests.marks import slow

from tied_tables._column_words import LONGEST_LINE, FactText
from tied_tables.cli._text_layout import GAP, lay_out, wrap
from tied_tables.datasets import make_clients

from .conftest import save

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal")
WORDS = ["a", "of", "income", "non-categorical", "far-off", "9,999,999", "ünïted"]
WIDTHS = (60, 80, 120)


def make_text(seed, n=40):
    return " ".join(random.Random(seed).choices(WORDS, k=n))


@pytest.mark.parametrize("width", [12, 20, 60])
@pytest.mark.parametrize("seed", range(5))
def test_a_wrapped_text_has_the_same_words_in_lines_as_full_as_they_can_be(width, seed):
    text = make_text(seed)
    lines = wrap(text, width, GAP)
    assert " ".join(line.strip() for line in lines) == text
    for line, following in itertools.pairwise(lines):
        assert len(line) <= width or " " not in line.strip()
        assert len(f"{line} {following.split()[0]}") > width or "'" in following
        assert following.startswith(GAP)


@pytest.mark.parametrize(
    "unit",
    [
        "tied-tables score 'my rows.csv' --delimiter ';' --top 5",
        'pip install "tied-tables[cli]"',
        "'Shell weight'",
        "--categorical",
        "--categorical ounces",
        "--na 'Rain days'",
    ],
)
def test_what_is_to_be_copied_stays_in_a_line(unit):
    for width in range(8, 40):
        lines = wrap(f"to have more of these, write {unit}", width)
        assert sum(unit in line for line in lines) == 1


def test_no_description_of_a_column_is_longer_than_a_line():
    for length in range(20, 60):
        fact = FactText(
            "brewery",
            reads_as="categories",
            becomes="",
            numbers=5,
            note="(other) holds 93% of the values",
            distinct=551,
            examples=("x" * length, "Oskar Blues"),
        )
        assert len(fact.summarize()) <= LONGEST_LINE


def test_wide_characters_take_two_columns():
    assert wrap("東京 東京 東京", 9) == ["東京 東京", "東京"]
    lines = lay_out(["town", "n"], [["東京", "1"], ["Oslo", "2"]], 40)
    assert lines[2:] == ["東京  1", "Oslo  2"]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seed", range(5))
def test_a_table_breaks_no_cell_but_the_last_of_a_row_and_that_between_words(
    width, seed
):
    pick = random.Random(seed)
    rows = [
        ["x" * pick.randint(1, 50), str(pick.randrange(10**6)), make_text(row, 15)]
        for row in range(20)
    ]
    lines = lay_out(["name", "n", "why"], rows, width)
    assert max(map(len, lines)) <= width
    shown = " ".join(lines).split()
    assert shown[:3] == ["name", "n", "why"]
    assert shown[4:] == " ".join(map(" ".join, rows)).split()


def test_numbers_of_a_table_end_in_one_column():
    rows = [["a", "1"], ["b", "1,000"]]
    *_, one, thousand = lay_out(["", "n", ""], [[*row, "x"] for row in rows], 80)
    assert one.index("1") == thousand.index(",000") + 3


@pytest.fixture
def screen(folder):
    """Runs a command in a terminal of some columns; returns the lines shown there."""
    from tools.terminal import run

    return lambda line, width: run(line, width, str(folder))


def read_words(lines):
    return [word for line in lines for word in line.split() if set(word) != {"─"}]


@slow
@pytest.mark.parametrize(
    "line",
    [
        "check rows.csv",
        "inspect m.safetensors",
        "score m.safetensors fruit.csv",
        "corrections m.safetensors fruit.csv",
        "chekc rows.csv",
    ],
)
def test_no_word_is_broken_in_a_terminal(screen, line):
    frame = make_clients(random_state=0)
    save(pd.DataFrame(frame), "rows.csv", sep=";")
    words = set(read_words(screen(line, 5000)))
    for width in WIDTHS:
        lines = screen(line, width)
        assert set(read_words(lines)) <= words
        assert all(len(each) <= width or "tied-tables " in each for each in lines)


@slow
def test_check_takes_at_most_two_lines_a_column(screen):
    columns = make_clients(random_state=0)
    save(pd.DataFrame(columns), "rows.csv")
    lines = screen("check rows.csv", 80)
    [rule] = [place for place, line in enumerate(lines) if set(line) == {"─"}]
    table = lines[rule + 1 :]
    starts = [place for place, line in enumerate(table) if line[:1] not in ("", " ")]
    for name, first, after in zip(columns, starts, starts[1:], strict=False):
        assert table[first].startswith(name)
        assert after - first - (not table[after - 1]) <= 2


def test_a_fact_about_a_file_is_printed_once_for_a_table_and_a_model(
    tied_tables, fruit
):
    save(fruit, "rows.csv", sep=";")
    fact = "its delimiter is a semicolon"
    fitted = tied_tables("fit rows.csv -o new.safetensors --epochs 1 --id name")
    assert fitted.err.count(fact) == 1
    for line in ("score new.safetensors rows.csv", "encode {} -o codes.csv"):
        line = line.format("new.safetensors rows.csv")
        assert fact not in tied_tables(line).err
    assert fact in tied_tables("encode m.safetensors rows.csv -o codes.csv").err
    assert os.path.exists("codes.csv")


def test_categories_are_listed_on_request_alone(tied_tables):
    towns = [f"town {place}" for place in range(12)]
    save(pd.DataFrame({"town": towns * 9, "size": range(108)}))
    plain = tied_tables("check rows.csv").out
    listed = tied_tables("check rows.csv --categories").out
    assert sum(town in plain for town in towns) <= 5
    assert all(town in listed for town in towns)
