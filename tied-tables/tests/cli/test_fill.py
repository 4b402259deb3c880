"""`fill`: the copy of a table differs from it in the cells that were gaps."""

import itertools
import json
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather
from tests.marks import for_each

GAP = "\1"
FILLED = "kind weight length count ripe".split()


class Form(NamedTuple):
    """How a table is written as text, and what stands in a gap."""

    file: str = "rows.csv"
    delimiter: str = ","
    end: str = "\n"
    encoding: str = "utf-8"
    quoted: tuple[str, ...] = ()
    gap: str = ""
    before: str = ""
    between: str = ""
    decimal: str = "."
    note: str = "plain"
    options: str = ""


FORMS = {
    "plain": Form(),
    "tabs": Form("rows.tsv", "\t", gap="NA"),
    "semicolons and decimal commas": Form(delimiter=";", decimal=","),
    "CRLF": Form(end="\r\n"),
    "CR": Form(end="\r"),
    "a BOM": Form(encoding="utf-8-sig", note="né"),
    "UTF-16": Form(encoding="utf-16", note="né€"),
    "UTF-16, named": Form(encoding="utf-16", note="né", options="--encoding utf-16"),
    "UTF-16, big end first": Form(encoding="utf-16-be", before="\ufeff", note="né"),
    "UTF-32": Form(encoding="utf-32", note="né", options="--encoding utf-32"),
    "Japanese": Form(encoding="shift_jis", note="桃", options="--encoding shift_jis"),
    "Windows": Form(encoding="cp1252", note="trés"),
    "all in quotes": Form(quoted=("name", *FILLED, "note")),
    "text in quotes": Form(quoted=("name", "kind", "note"), gap="NA"),
    "spaces": Form(delimiter=", ", gap=" n/a "),
    "lines and quotes in cells": Form(note='"two\r\nlines, a ""word"""', end="\r\n"),
    "a stray quote": Form(note='5" pipe'),
    "titles and comments": Form(
        before='A "title\n\n', between='# "no, row\n', options="--skip 2 --comment '#'"
    ),
    "sep=": Form(before="sep=|\r\n", delimiter="|", end="\r\n"),
    "empty lines": Form(between="\n"),
    "gz": Form("rows.csv.gz", gap="null"),
    "zst": Form("rows.csv.zst"),
}


def make_gaps(fruit, rng):
    """Rows without a gap, and where each shall have one."""
    rows = fruit[["name", *FILLED]].replace("", "101.5")
    return rows, rng.random((len(rows), len(FILLED))) < 0.2


def write_text(form, rows, is_gap):
    """A table as text, with a mark for each gap."""
    rows = rows.assign(note=form.note)
    rows[FILLED] = rows[FILLED].mask(is_gap, GAP)
    text = form.before
    for place, line in enumerate([list(rows), *rows.to_numpy().tolist()]):
        cells = []
        for name, cell in zip(rows, line, strict=True):
            if name in ("weight", "length"):
                cell = cell.replace(".", form.decimal)
            cells.append(f'"{cell}"' if name in form.quoted else cell)
        text += form.delimiter.join(cells) + form.end
        text += form.between * (place % 7 == 3)
    return text if form.between else text.removesuffix(form.end)


def read(name):
    with pa.input_stream(name) as file:
        return file.read()


@for_each(FORMS, "form")
def test_a_copy_of_text_differs_in_its_gaps_alone(tied_tables, fruit, rng, form):
    rows, is_gap = make_gaps(fruit, rng)
    text = write_text(form, rows, is_gap)
    data = text.replace(GAP, form.gap).encode(form.encoding)
    with pa.output_stream(form.file, compression="detect") as file:
        file.write(data)
    output = f"new{form.file}"
    done = tied_tables(f"fill m.safetensors {form.file} -o {output} {form.options}")
    assert done.out.startswith(f"filled {is_gap.sum()} cells to {output} in ")
    cell = f'[^{form.delimiter[0]}\r\n"]+'
    pattern = re.escape(text).replace(re.escape(GAP), cell)
    copy = read(output)
    assert re.fullmatch(pattern, copy.decode(form.encoding))
    assert copy[:3] == data[:3]
    assert read(form.file) == data


def test_no_filled_cell_of_safe_csv_is_a_formula(tied_tables, rng):
    words = rng.choice(["=1+1", "@sum"], size=200)
    frame = pd.DataFrame({"word": words, "size": (words == "=1+1") + rng.random(200)})
    frame.loc[:9, "word"] = None
    frame.to_csv("rows.csv", index=False)
    line = "fill rows.csv -o new.csv --cells cells.csv"
    tied_tables(line)
    values = pd.read_csv("cells.csv")["value"]
    assert set(values) <= set(words)
    assert len(values) == 10
    tied_tables(f"{line} --safe-csv")
    assert list(pd.read_csv("cells.csv")["value"]) == [f"'{value}" for value in values]
    table = pd.read_csv("new.csv")
    assert set(table["word"]) == {"'=1+1", "'@sum"}
    assert table["size"].equals(pd.read_csv("rows.csv")["size"])


PADDED = {"kind": " kind", "length": "length ", "count": "  count "}
"""Names in files that hold blanks, which belong to no name and stay in a copy."""


def make_records(fruit, rng, gap=None):
    """Rows of numbers, truth values and text, some of which are gaps, and how many."""
    rows, is_gap = make_gaps(fruit, rng)
    rows = rows.astype({"weight": float, "length": float, "count": int})
    rows["ripe"] = rows["ripe"] == "true"
    rows = rows.astype(object)
    rows[FILLED] = rows[FILLED].mask(is_gap, gap)
    return rows.rename(columns=PADDED).to_dict("records"), is_gap.sum()


OBJECTS = {
    "rows.jsonl": ("", "\r\n", "\r\n", {"separators": (",", ":")}),
    "rows.json": ("\ufeff [\n", ",\n", "\n]", {"indent": 1, "ensure_ascii": False}),
    "rows.ndjson.gz": ("", "\n", "", {}),
}


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("missing", ["null", '""'])
def test_a_copy_of_json_differs_in_its_gaps_alone(
    tied_tables, fruit, rng, name, missing
):
    before, between, after, style = OBJECTS[name]
    rows, n_gaps = make_records(fruit, rng, GAP)
    others = {"kind": None, "é": [1.5, '"kind": null, {', {}]}
    texts = [json.dumps({"more": others} | row, **style) for row in rows]
    text = before + between.join(texts) + after
    gap = json.dumps(GAP)
    with pa.output_stream(name, compression="detect") as file:
        file.write(text.replace(gap, missing).encode())
    done = tied_tables(f"fill m.safetensors {name} -o new{name}")
    assert done.out.startswith(f"filled {n_gaps} cells to ")
    pattern = re.escape(text).replace(re.escape(gap), '[-.\\w]+|"[a-z]+"'.join("()"))
    copy = read(f"new{name}").decode()
    assert re.fullmatch(pattern, copy)
    assert not re.search('"(weight|  count )": ?"', copy)


def test_members_that_a_json_object_lacks_are_added(tied_tables, fruit, rng):
    rows, _ = make_records(fruit, rng)
    rows = [{name: x for name, x in row.items() if x is not None} for row in rows]
    rows[7] = {}
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    tied_tables("fill m.safetensors rows.jsonl -o new.jsonl")
    for row, line in zip(rows, read("new.jsonl").splitlines(), strict=True):
        copy = json.loads(line)
        assert copy.items() >= row.items()
        assert {*FILLED} <= {*map(str.strip, copy)}


def test_a_copy_of_a_workbook_has_its_formats_and_other_sheets(tied_tables, fruit, rng):
    openpyxl = pytest.importorskip("openpyxl")
    rows, n_gaps = make_records(fruit, rng)
    frame = pd.DataFrame(rows).astype(object)
    frame[1::2] = frame[1::2].fillna("n/a")
    with pd.ExcelWriter("rows.xlsx") as file:
        fruit.to_excel(file, sheet_name="other")
        frame.to_excel(file, sheet_name="fruit", startrow=3, startcol=2)
        sheet = file.sheets["fruit"]
        sheet["E1"] = "a title"
        file.sheets["other"]["Z1"] = "=1+1"
        sheet.insert_rows(20)
        for cell in sheet["E"]:
            cell.number_format = "0.000"
    before = openpyxl.load_workbook("rows.xlsx")
    done = tied_tables(
        "fill m.safetensors rows.xlsx --sheet fruit --skip 3 -o new.xlsx"
    )
    assert done.out.startswith(f"filled {n_gaps} cells to ")
    after = openpyxl.load_workbook("new.xlsx")
    n_new = 0
    for old_sheet, new_sheet in zip(before, after, strict=True):
        for cell in itertools.chain.from_iterable(new_sheet):
            old = old_sheet[cell.coordinate]
            n_new += cell.value != old.value
            assert old.value in (None, "n/a", cell.value)
            assert (cell.number_format, cell.font.b) == (old.number_format, old.font.b)
    assert n_new == n_gaps


def write_formula(sheet, place):
    sheet.cell(5, place, "=1+1")


def merge(sheet, place):
    letter = sheet.cell(5, place).column_letter
    sheet.merge_cells(f"{letter}5:{letter}7")


@pytest.mark.parametrize(
    ("change", "message"),
    [(write_formula, "holds a formula without a result"), (merge, "is merged with")],
)
def test_a_cell_that_no_value_can_be_written_into_is_named(
    tied_tables, fruit, change, message
):
    openpyxl = pytest.importorskip("openpyxl")
    fruit.to_excel("rows.xlsx", index=False)
    book = openpyxl.load_workbook("rows.xlsx")
    place = 1 + fruit.columns.get_loc("length")
    change(book.active, place)
    book.save("rows.xlsx")
    failed = tied_tables("fill m.safetensors rows.xlsx -o new.xlsx --cells c.csv", 2)
    assert f"of 'rows.xlsx' {message}" in failed.err
    assert not {"new.xlsx", "c.csv"} & {*os.listdir()}


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_a_copy_of_a_file_with_types_has_these_and_its_other_columns(
    tied_tables, fruit, rng, ending
):
    rows, n_gaps = make_records(fruit, rng)
    frame = pd.DataFrame(rows).astype({"weight": "float32", " kind": "category"})
    frame["half"] = frame["weight"].astype("float16")
    frame["day"] = pd.to_datetime(fruit["day"]).astype("datetime64[ns]")
    getattr(frame, f"to_{ending}")(f"rows.{ending}")
    done = tied_tables(f"fill m.safetensors rows.{ending} -o new.{ending}")
    assert done.out.startswith(f"filled {n_gaps} cells to ")
    load = pq.read_table if ending == "parquet" else feather.read_table
    table, copy = load(f"rows.{ending}"), load(f"new.{ending}")
    assert copy.schema.equals(table.schema, check_metadata=True)
    old, new = table.to_pandas(), copy.to_pandas()
    assert not new.rename(columns=str.strip)[FILLED].isna().any(axis=None)
    pd.testing.assert_frame_equal(new.where(old.notna()), old.where(old.notna()))


def test_each_cell_that_is_filled_is_listed_with_how_sure_it_is(
    tied_tables, fruit, rng
):
    rows, is_gap = make_gaps(fruit, rng)
    rows.loc[~is_gap.any(axis=1), "weight"] = "1e9"
    rows[FILLED].mask(is_gap, "").to_csv("rows.csv")
    tied_tables("fill m.safetensors rows.csv -o new.csv --cells cells.csv")
    again = "fill m.safetensors rows.csv -o newer.csv --cells cells.csv --no-clobber"
    assert "'cells.csv' already exists" in tied_tables(again, 2).err
    filled = pd.read_csv("new.csv", dtype=str)
    cells = pd.read_csv("cells.csv", dtype={"value": str})
    places, columns = np.nonzero(is_gap)
    assert list(cells["row"]) == list(places + 1)
    assert sorted(cells["column"]) == sorted(FILLED[column] for column in columns)
    for row, name, value in cells[["row", "column", "value"]].to_numpy():
        assert filled.loc[row - 1, name] == value
    sure = cells.groupby("column")["sure"].unique().map(list)
    assert sure["kind"] == [0]  # it depends on nothing
    assert 0.8 < sure["weight"][0] < 1  # it tells the size, as the count does


def test_text_of_too_many_categories_is_filled_where_a_rule_knows_it(tied_tables):
    """What no rule knows stays a gap, and is not counted."""
    rng = np.random.default_rng(0)
    shop = rng.permutation(np.arange(2_400) % 240)
    rows = pd.DataFrame(
        {"shop": [f"s{i}" for i in shop], "size": rng.normal(size=2400)}
    )
    rows.insert(1, "town", [f"{chr(97 + i % 26)} town {i}" for i in shop])
    gaps = rows.copy()
    hidden = rng.choice(2_400, 200, replace=False)
    gaps.loc[hidden, "town"] = None
    gaps.loc[hidden[:20], "shop"] = "s of nobody"
    gaps.loc[hidden[20:30], "shop"] = None
    gaps.to_csv("shops.csv", index=False)
    done = tied_tables("fill shops.csv -o filled.csv --cells cells.csv")
    filled = pd.read_csv("filled.csv")
    assert filled["town"][hidden[30:]].equals(rows["town"][hidden[30:]])
    assert filled["town"][hidden[:30]].isna().all()
    assert done.out.startswith("filled 170 cells")
    cells = pd.read_csv("cells.csv")
    assert sorted(cells["row"]) == sorted(hidden[30:] + 1)


def test_units_and_points_are_kept_beside_semicolons(tied_tables):
    lines = [f"{10 + 7 * i % 50} min;{i * i / 8:.2f}\n" for i in range(40)]
    lines[3] = ";1.25\n"
    Path("rows.csv").write_text("time;weight\n" + "".join(lines), "utf-8")
    tied_tables("fill rows.csv -o new.csv")
    _, *filled = Path("new.csv").read_text("utf-8").splitlines(keepends=True)
    assert re.fullmatch(r"\d+ min;1\.25\n", filled.pop(3))
    del lines[3]
    assert filled == lines


MONEY = {
    "a sign": ("${:,.2f}", "."),
    "percent": ("{:.2f} %", "."),
    "a decimal comma": ("{:,.2f}", ","),
    "a sign and a decimal comma": ("€{:,.2f}", ","),
    "zeros": ("{:.2f}", "."),
}


@for_each(MONEY, "form", "decimal")
def test_what_a_relation_gives_is_written_as_its_column_is(
    tied_tables, rng, form, decimal
):
    marks = str.maketrans(",.", ".,") if decimal == "," else {}
    price, units = rng.integers(150, 9000, 80) / 10, rng.integers(2, 40, 80)
    totals = [form.format(total).translate(marks) for total in price * units]
    prices = [f"{each:.1f}".translate(marks) for each in price]
    table = pd.DataFrame({"price": prices, "units": units, "total": totals})
    table.to_csv("whole.csv", index=False, sep=";")
    table.loc[::7, "total"] = ""
    table.to_csv("rows.csv", index=False, sep=";")
    tied_tables("fill rows.csv -o new.csv")
    assert Path("new.csv").read_text("utf-8") == Path("whole.csv").read_text("utf-8")


def test_dates_that_are_filled_keep_the_order_of_the_others(tied_tables, rng):
    n = 500
    day = np.timedelta64(1, "D")
    ordered = np.datetime64("2024-01-01") + rng.integers(0, 300, n) * day
    shipped = ordered + rng.integers(0, 10, n) * day
    paid = shipped + rng.integers(0, 40, n) * day
    table = pd.DataFrame({"ordered": ordered, "shipped": shipped, "paid": paid})
    table = table.astype(str)
    table["price"] = rng.lognormal(3, 1, n).round(2)
    for name in ("ordered", "shipped", "paid"):
        table.loc[rng.random(n) < 0.2, name] = None
    table.to_csv("rows.csv", index=False)
    tied_tables("fill rows.csv -o new.csv")
    new = pd.read_csv("new.csv")
    assert new.notna().all(axis=None)
    assert (new["ordered"] <= new["shipped"]).all()
    assert (new["shipped"] <= new["paid"]).all()


def test_a_column_that_is_mostly_empty_is_filled_with_a_warning(tied_tables, rng):
    table = pd.DataFrame({"start": rng.normal(50, 9, 200).round(1)})
    table["end date"] = table["start"] + 5
    table.loc[20:, "end date"] = np.nan
    table.to_csv("rows.csv", index=False)
    done = tied_tables("fill rows.csv -o new.csv")
    assert "column 'end date' was empty in 180 of 200 rows; if that" in done.words
    assert "--exclude 'end date'" in done.words
    done = tied_tables("fill rows.csv -o new.csv --exclude 'end date'")
    assert "was empty" not in done.words
    assert pd.read_csv("new.csv")["end date"].isna().sum() == 180
