"""``rules``, and ``check --rules``: what they print, and their exit codes."""

from pathlib import Path

import numpy as np
import pandas as pd

from .conftest import save

RULES = "check --rules rules.yml"


def test_a_table_that_breaks_a_rule_is_printed_with_the_row(tied_tables, fruit):
    done = tied_tables("rules fruit.csv -o rules.yml")
    assert "wrote " in done.out
    assert "next: tied-tables check new.csv --rules rules.yml" in done.err
    assert tied_tables("rules fruit.csv -o rules.json").err == ""
    assert " 0 broken" in tied_tables(f"{RULES} fruit.csv").out
    fruit.loc[4, "kind"] = "car"
    save(fruit)
    done = tied_tables(f"{RULES} rows.csv", code=1)
    assert " 1 broken" in done.out
    assert "1 5 kind is one of " in done.words
    results = tied_tables(f"{RULES} rows.csv --json", code=1).json["rules"]
    assert [rule["first"] for rule in results if rule["rows"]] == [[5]]


def test_rules_are_printed_where_the_output_is_the_standard_output(tied_tables):
    tied_tables("rules fruit.csv -o rules.yml")
    done = tied_tables("rules fruit.csv -o -")
    assert done.out == Path("rules.yml").read_text()
    assert not Path("-").exists()


def test_a_row_of_totals_is_no_exception_to_a_rule(tied_tables, fruit):
    total = {"name": "Total", "count": fruit["count"].astype(int).sum()}
    save(pd.concat([fruit, pd.DataFrame([total])], ignore_index=True))
    tied_tables("rules rows.csv -o rules.yml")
    assert "exception" not in Path("rules.yml").read_text()
    done = tied_tables(f"{RULES} rows.csv")
    assert " 0 broken" in done.out
    assert "row 301, the last, says 'Total' in column 'name'" in done.err


def test_values_that_mean_missing_are_in_no_rule(tied_tables, fruit):
    marked = fruit.copy()
    marked.loc[::30, ["kind", "length"]] = "??", "9999.0"
    save(marked)
    tied_tables("rules rows.csv -o rules.yml --na ?? --na 9999 --exclude ripe")
    text = Path("rules.yml").read_text()
    assert "'??'" not in text.partition("steps:")[2]
    assert "ripe" not in text.partition("steps:")[2]
    assert " 0 broken" in tied_tables(f"{RULES} rows.csv --na ?? --na 9999").out
    done = tied_tables(f"{RULES} rows.csv", code=1)
    assert "kind is one of" in done.words
    assert "length is between" in done.words


def test_a_text_among_numbers_is_reported_with_what_to_do(tied_tables, fruit):
    marked = fruit.astype({"length": str})
    marked.loc[7, "length"] = "n/k"
    save(marked)
    done = tied_tables("rules rows.csv -o rules.yml")
    assert "has no limits and relations of 'length'" in done.err
    assert "length is between" not in Path("rules.yml").read_text()
    done = tied_tables("rules rows.csv -o rules.yml --na n/k")
    assert "no limits" not in done.err
    assert "length is between" in Path("rules.yml").read_text()


def test_what_cannot_be_checked_is_said_in_a_sentence(tied_tables, refused, fruit):
    tied_tables("rules fruit.csv -o rules.yml")
    save(fruit.drop(columns="kind"))
    assert "has no column 'kind'" in refused(f"{RULES} rows.csv")
    assert "missing.yml" in refused("check fruit.csv --rules missing.yml")
    Path("rules.yml").write_text("steps: [{rows_distinct: {}}]")
    assert "number 1" in refused(f"{RULES} fruit.csv")
    assert "--exclude" in refused(f"{RULES} fruit.csv --exclude kind")
    assert ".yml" in refused("rules fruit.csv -o rules.txt")


def test_a_unit_in_several_spellings_breaks_no_rule_of_its_table(tied_tables, fruit):
    sizes = ["12.0 oz", "16.0 oz.", "12.5 ounce", "13.0 OZ"]
    save(fruit.assign(size=(sizes * len(fruit))[: len(fruit)]))
    [warning] = tied_tables("check rows.csv --json").json["warnings"]
    assert "'size' has one unit in several spellings: " in warning
    tied_tables("rules rows.csv -o rules.yml")
    assert " 0 broken" in tied_tables(f"{RULES} rows.csv").out


def test_a_report_lists_rules_and_the_values_that_break_them(tied_tables, rng):
    towns = np.array(["Bergen", "Cork", "Delft"])
    place = rng.integers(0, 3, 200)
    price, units = rng.integers(150, 9000, 200) / 100, rng.integers(2, 40, 200)
    table = pd.DataFrame({"zip": 1000 + place, "town": towns[place], "price": price})
    table["units"], table["total"] = units, (price * units).round(2)
    table.loc[7, "town"] = "<b>Cork</b>"
    table.loc[30, "total"] *= 10
    table.to_csv("rows.csv", index=False)
    found = tied_tables("report rows.csv -o page.html --json").json
    assert found["broken"] == 2
    assert any(rule.startswith("total = price x units: ") for rule in found["rules"])
    page = Path("page.html").read_text("utf-8")
    assert "total = price x units: 99.5 % of 200 rows, 1 exception" in page
    assert "zip determines town: 99.5 % of 200 rows, 1 exception" in page
    assert "&lt;b&gt;Cork&lt;/b&gt;" in page
    assert "<b>Cork</b>" not in page.partition('id="figures-data"')[0]
    assert f"<bdi>{table.loc[30, 'total'] / 10:.12g}</bdi>" in page


def test_a_report_leaves_out_a_row_of_totals(tied_tables, fruit):
    total = {"name": "Total", "count": fruit["count"].astype(int).sum()}
    save(pd.concat([fruit, pd.DataFrame([total])], ignore_index=True))
    done = tied_tables("report rows.csv -o page.html --json")
    assert done.json["rows"] == 300
    assert done.err.count("row 301, the last, says 'Total' in column 'name'") == 1
    assert "row 301, the last" in Path("page.html").read_text("utf-8")
