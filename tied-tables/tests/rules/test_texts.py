import numpy as np
import pyarrow as pa

from tied_tables.rules.kinds import find_kinds
from tied_tables.rules.texts import doubt_encoding, doubt_patterns, doubt_suffixes


def list_cells(doubts):
    return [(doubt.row - 1, doubt.value, doubt.suggestion) for doubt in doubts]


def test_letters_among_digits_are_doubted(to_table):
    phones = [f"{number}" for number in range(10_000, 10_100)]
    phones[7] = "3x0x7"
    doubts = doubt_patterns(find_kinds(to_table({"phone": phones})))
    assert list_cells(doubts) == [(7, "3x0x7", None)]


def test_a_wrong_letter_beside_a_number_is_doubted(to_table):
    samples = [f"{number} patients" for number in range(100, 200)]
    samples[7] = "107 paxients"
    doubts = doubt_patterns(find_kinds(to_table({"sample": samples})))
    assert list_cells(doubts) == [(7, "107 paxients", "107 patients")]


def test_codes_with_other_letters_are_not_doubted(to_table):
    codes = [f"AL-{number}" for number in range(100, 200)]
    codes[7] = "AK-107"
    assert not list(doubt_patterns(find_kinds(to_table({"code": codes}))))


def test_a_text_that_ends_in_an_empty_column_is_doubted(to_table):
    cities, states = ["Reno", "Boise"] * 20, ["NV", "ID"] * 20
    cities[4], states[4] = "Reno NV", ""
    doubts = doubt_suffixes(find_kinds(to_table({"city": cities, "state": states})))
    assert list_cells(doubts) == [(4, "Reno NV", "Reno")]


def test_a_wrong_encoding_is_doubted(to_table):
    names = ["Zürich", "Genève", "Zürich".encode().decode("cp1252"), "Gen\ufffdve"]
    doubts = doubt_encoding(find_kinds(to_table({"city": names})))
    assert list_cells(doubts) == [(2, names[2], "Zürich"), (3, names[3], None)]


def test_texts_with_accents_are_not_doubted(to_table):
    names = ["São Paulo", "Âge", "Ångström", "naïve", "Ça va", "10 £", "½"]
    assert not list(doubt_encoding(find_kinds(to_table({"city": names}))))


def test_each_row_with_a_doubtful_text_is_named(to_table):
    names = np.array(["fine"] * 10, object)
    names[[2, 5]] = "bro\ufffdken"
    doubts = doubt_encoding(find_kinds(to_table({"name": list(names)})))
    assert [doubt.row for doubt in doubts] == [3, 6]


def test_a_text_that_also_stands_beside_a_value_is_not_doubted(to_table):
    first = ["Source Verified", "Verified"] * 20
    second = ["", "Verified", "Verified", ""] * 10
    columns = find_kinds(to_table({"first": first, "second": second}))
    assert not list(doubt_suffixes(columns))


def test_another_word_of_as_many_letters_is_not_doubted(to_table):
    texts = ["1. Married", "2. Divorce"] * 50
    texts[7] = "3. Widowed"
    assert not list(doubt_patterns(find_kinds(to_table({"status": texts}))))


def test_columns_that_are_no_text_are_left_out():
    interval = pa.array([(1, 2, 3)], pa.month_day_nano_interval())
    columns = {"a": ["x"], "list": [[1]], "bytes": [b"\xff"], "interval": interval}
    table = pa.table(columns | {"number": [1.5], "flag": [True]})
    assert [kinds.name for kinds in find_kinds(table)] == ["a", "number", "flag"]
