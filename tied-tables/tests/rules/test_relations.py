import numpy as np
import pytest

from tied_tables.rules import Rules
from tied_tables.rules.dependencies import Dependency
from tied_tables.rules.kinds import find_kinds
from tied_tables.rules.numbers import Numbers, find_numbers
from tied_tables.rules.relations import (
    AFTER_PRODUCT,
    OPERATIONS,
    Relation,
    find_relations,
)

from .conftest import write_orders


def find_doubts(table):
    return Rules.find(table).judge(table)


@pytest.mark.parametrize("place", range(len(OPERATIONS)))
def test_a_solved_term_gives_the_result(place):
    generator = np.random.default_rng(place)
    a, b = generator.uniform(1, 90, (2, 50))
    relation = Relation("c", ("a", "b"), place)
    columns = {"a": Numbers("a", a, 9), "b": Numbers("b", b, 9)}
    columns["c"] = Numbers("c", relation.compute([a, b]), 9)
    np.testing.assert_allclose(relation.solve("a", columns), a)
    np.testing.assert_allclose(relation.solve("b", columns), b)


@pytest.mark.parametrize("place", range(len(OPERATIONS)))
def test_each_relation_is_found(place):
    generator = np.random.default_rng(place)
    a = np.round(generator.uniform(50, 900, 300), 2)
    b = np.round(generator.uniform(1, 40, 300), 0 if place in (4, 6, 7) else 2)
    c = np.round(OPERATIONS[place].result(a, b), 2)
    columns = [Numbers("a", a, 2), Numbers("b", b, 2), Numbers("c", c, 2)]
    relations = find_relations(columns)
    assert relations
    for relation in relations:
        values = dict(zip("abc", (a, b, c), strict=True))
        computed = relation.compute([values[name] for name in relation.terms])
        gaps = np.abs(computed - values[relation.result])
        assert (gaps > 0.00501).sum() == relation.n_exceptions


@pytest.mark.parametrize("place", AFTER_PRODUCT)
def test_a_product_before_the_operation_is_found_and_solved(place):
    generator = np.random.default_rng(place)
    a = np.round(generator.uniform(50, 900, 300), 2)
    b = generator.integers(1, 40, 300).astype(float)
    places = 2 if place in (8, 9) else 0
    c = np.round(generator.uniform(1, 90, 300) / 10**places, places)
    d = OPERATIONS[place].result(a * b, c)
    columns = {
        name: Numbers(name, v, 9) for name, v in zip("abcd", (a, b, c, d), strict=True)
    }
    [relation] = find_relations(list(columns.values()))
    words = OPERATIONS[place].words.format("a x b", "c")
    assert str(relation) == f"d = {words}: 100 % of 300 rows, 0 exceptions"
    for name, column in columns.items():
        np.testing.assert_allclose(relation.solve(name, columns), column.values)


@pytest.mark.parametrize(
    ("share", "formula"),
    [
        (0, "net = price x quantity"),
        (0.01, "net = price x quantity x (1 - discount / 100)"),
        (0.3, "net = price x quantity x (1 - discount / 100)"),
    ],
)
def test_a_discount_is_in_the_relation_if_any_row_has_one(share, formula):
    generator = np.random.default_rng(0)
    price = np.round(generator.uniform(10, 900, 5_000), 2)
    quantity = generator.integers(2, 20, 5_000).astype(float)
    discount = generator.choice([5.0, 10, 20], 5_000)
    discount *= generator.random(5_000) < share
    net = np.round(price * quantity * (1 - discount / 100), 2)
    columns = [
        Numbers("price", price, 2),
        Numbers("quantity", quantity, 0),
        Numbers("discount", discount, 0),
        Numbers("net", net, 2),
        Numbers("gross", np.round(1.19 * net, 2), 2),
    ]
    formulas = [relation.formula for relation in find_relations(columns)]
    assert formulas == ["gross = 1.19 x net", formula]


def test_a_sum_has_no_column_that_is_mostly_0():
    generator = np.random.default_rng(0)
    a, b = generator.integers(1, 1_000, (2, 1_000)).astype(float)
    rare = np.where(np.arange(1_000) < 15, a, 0)
    columns = {"rare": rare, "a": a, "b": b, "total": a + b}
    numbers = [Numbers(name, values, 0) for name, values in columns.items()]
    [relation] = find_relations(numbers)
    assert relation.formula == "total = a + b"
    [*others, _] = numbers
    with_rare = [*others, Numbers("total", a + b + rare, 0)]
    [relation] = find_relations(with_rare)
    assert relation.formula == "total = rare + a + b"


def test_relations_of_some_terms_of_a_sum_stay():
    generator = np.random.default_rng(0)
    a, b = generator.integers(1, 1_000, (2, 300)).astype(float)
    columns = {"a": a, "b": b, "c": a * b, "total": a + b + a * b}
    numbers = [Numbers(name, values, 0) for name, values in columns.items()]
    formulas = [relation.formula for relation in find_relations(numbers)]
    assert formulas == ["c = a x b", "total = a + b + c"]


def test_a_sum_of_many_columns_is_found(to_table):
    parts = np.random.default_rng(0).integers(0, 1_000, (4, 200))
    columns = {
        name: list(map(str, row)) for name, row in zip("abcd", parts, strict=True)
    }
    columns["all"] = list(map(str, parts.sum(axis=0)))
    [relation] = Rules.find(to_table(columns)).relations
    assert str(relation) == "all = a + b + c + d: 100 % of 200 rows, 0 exceptions"


def test_a_multiple_is_found(to_table):
    net = np.round(np.random.default_rng(0).uniform(10, 900, 300), 2)
    columns = {
        "net": [f"{value:.2f}" for value in net],
        "tax": [f"{value:.2f}" for value in net * 0.19],
    }
    [relation] = Rules.find(to_table(columns)).relations
    assert relation.formula == "tax = 0.19 x net"


@pytest.mark.parametrize("n_values", [2, 3, 5])
def test_columns_of_few_values_have_no_relations(n_values, to_table):
    values = np.random.default_rng(n_values).integers(0, n_values, (8, 2_000))
    columns = {f"c{place}": list(map(str, row)) for place, row in enumerate(values)}
    assert Rules.find(to_table(columns)).relations == []


def test_a_column_that_is_mostly_a_copy_is_no_product(to_table):
    """With a quantity of 1, the total is the price in all rows but ten."""
    generator = np.random.default_rng(0)
    price = np.round(generator.uniform(1, 99, 1_000), 2)
    quantity = np.ones(1_000, int)
    quantity[:10] = 2
    columns = write_orders(price, quantity, price * quantity)
    found = Rules.find(to_table(columns)).relations
    assert "total = price x quantity" not in {relation.formula for relation in found}


@pytest.mark.parametrize(
    ("column", "row", "wrong"), [("quantity", 5, "400"), ("total", 9, "0.07")]
)
def test_the_odd_cell_is_doubted_with_what_was_there(
    column, row, wrong, orders, to_table
):
    expected = orders[column][row]
    orders[column][row] = wrong
    [doubt] = find_doubts(to_table(orders))
    assert (doubt.row, doubt.column, doubt.value) == (row + 1, column, wrong)
    assert float(doubt.suggestion) == float(expected)
    assert "total = price x quantity: 99.8 % of 500 rows, 1 exception" in doubt.reason
    assert doubt.reason.endswith(f"; with {column} {doubt.suggestion} it is satisfied")


@pytest.mark.parametrize("place", [2, 9])
def test_a_number_with_the_decimal_mark_elsewhere_is_suggested(place, to_table):
    """Other numbers are as near to a result that is rounded."""
    generator = np.random.default_rng(0)
    price = generator.integers(1_000, 9_000, 300) * 100
    size = generator.integers(50, 300, 300)
    columns = {"price": price, "size": size, "each": np.rint(price / size).astype(int)}
    texts = {name: list(map(str, values)) for name, values in columns.items()}
    texts["price"][place] = str(price[place] // 10)
    [doubt] = find_doubts(to_table(texts))
    assert (doubt.row, doubt.column) == (place + 1, "price")
    assert doubt.suggestion == str(price[place])


@pytest.mark.parametrize("names", ["ab", "ba", "cd", "ef", "gh", "ij", "kl", "mn"])
def test_of_cells_that_are_as_unusual_the_result_is_doubted(names, to_table):
    first, second = names
    numbers = list(map(str, range(100)))
    rules = Rules.find(to_table({first: numbers, second: numbers}))
    [doubt] = rules.judge(to_table({first: ["1000"], second: ["2000"]}))
    assert doubt.column == rules.relations[0].result


def test_a_usual_0_is_not_doubted(to_table):
    generator = np.random.default_rng(0)
    price = np.round(generator.uniform(10, 90, 400), 2)
    quantity = generator.integers(1, 9, 400)
    discount = generator.choice([0, 0, 5, 10], 400)
    total = np.round(price * quantity * (1 - discount / 100), 2)
    columns = write_orders(price, quantity, total)
    columns["discount"] = list(map(str, discount))
    row = int(np.argmax((quantity > 2) & (discount == 0)))
    columns["total"][row] = f"{10 * total[row]:.2f}"
    [doubt] = find_doubts(to_table(columns))
    assert (doubt.row, doubt.column) == (row + 1, "total")
    assert float(doubt.suggestion) == total[row]


def test_rows_that_hold_are_never_doubted(orders, to_table):
    assert find_doubts(to_table(orders)) == []


def test_numbers_are_read_with_currencies_and_thousands(to_table):
    texts = ["$1,234.50", " 7 ", "-3.25", "50%"] * 10
    [numbers] = find_numbers(find_kinds(to_table({"a": texts})))
    assert numbers.values[:4].tolist() == [1234.5, 7, -3.25, 50]
    assert numbers.places == 2


def test_infinite_numbers_are_none(orders, to_table):
    orders["price"][3] = orders["total"][4] = "1e400"
    table = to_table(orders)
    [relation] = Rules.find(table).relations
    assert str(relation) == "total = price x quantity: 100 % of 498 rows, 0 exceptions"
    suggestions = {doubt.row: doubt.suggestion for doubt in find_doubts(table)}
    assert suggestions == {4: "22.31", 5: "35.28"}


def test_a_text_among_numbers_is_what_a_relation_gives(orders, to_table):
    right = orders["total"][8]
    orders["total"][8], orders["quantity"][20] = "n/k", "on request"
    for row in (30, 31, 32):  # a mark of missing values
        orders["total"][row] = "TBD"
    doubts = find_doubts(to_table(orders))
    first, second = sorted(doubts, key=lambda doubt: doubt.row)
    assert (first.row, first.value) == (9, "n/k")
    assert float(first.suggestion) == float(right)
    assert first.reason.startswith("total n/k is no number; with the other columns")
    assert (second.row, second.column, second.value) == (21, "quantity", "on request")


def test_a_value_that_breaks_a_relation_is_given_as_it_is_written(to_table):
    generator = np.random.default_rng(0)
    percent = generator.integers(2, 40, 400)
    cost = generator.integers(101, 9_000, 400) / 100
    price = np.round(cost * (1 + percent / 100), 2)
    columns = {"cost": cost, "percent": percent, "price": price}
    texts = {name: [f"{each:g}" for each in columns[name]] for name in columns}
    texts["percent"][7] = "0.30"
    doubts = find_doubts(to_table(texts))
    assert [doubt.row for doubt in doubts] == [8]
    assert "percent 0.30" in doubts[0].reason
    assert doubts[0].value == texts[doubts[0].column][7]


@pytest.mark.parametrize("mark", [".", ","])
@pytest.mark.parametrize("thousands", [False, True])
def test_numbers_with_either_decimal_mark_are_compared(mark, thousands, to_table):
    generator = np.random.default_rng(0)
    price = np.round(generator.uniform(50, 900, 300), 2)
    units = generator.integers(2, 20, 300)
    total = np.round(price * units, 2)
    total[7] = np.round(10 * total[7], 2)

    def write(value):
        text = f"{value:,.2f}" if thousands else f"{value:.2f}"
        return text.translate(str.maketrans(".,", ",.")) if mark == "," else text

    table = to_table(write_orders(price, units, total, write))
    [relation] = Rules.find(table).relations
    assert relation.formula == "total = price x quantity"
    [doubt] = find_doubts(table)
    assert (doubt.row, doubt.column) == (8, "total")
    assert doubt.suggestion == write(price[7] * units[7]).rstrip("0").rstrip(mark)


@pytest.mark.parametrize("form", ["{} €", "{} kg", "EUR {}", "CHF {}", "({})", "{} %"])
def test_numbers_of_one_unit_are_compared_and_written_with_it(form, to_table):
    generator = np.random.default_rng(0)
    price = generator.integers(5_001, 90_009, 300) / 100
    units = generator.integers(2, 20, 300)
    total = np.round(price * units, 2)
    dearest = price.argmax()
    total[dearest] = np.round(10 * total[dearest], 2)
    write = "{:.2f}".format
    columns = write_orders(price, units, total, lambda value: form.format(write(value)))
    [doubt] = find_doubts(to_table(columns))
    assert (doubt.row, doubt.column) == (dearest + 1, "total")
    right = write(price[dearest] * units[dearest]).rstrip("0").rstrip(".")
    assert doubt.suggestion == form.format(right)


def test_numbers_of_several_units_are_not_compared(to_table):
    generator = np.random.default_rng(0)
    price = generator.integers(5_001, 90_009, 300) / 100
    units = generator.integers(2, 20, 300)
    columns = write_orders(price, units, np.round(price * units, 2), "{:.2f}".format)
    columns["total"][::2] = [f"{text} kg" for text in columns["total"][::2]]
    columns["total"][1::2] = [f"{text} g" for text in columns["total"][1::2]]
    assert not Rules.find(to_table(columns)).relations


def write_german(value):
    return f"{value:,.2f}".translate(str.maketrans(".,", ",."))


GERMAN = {  # numbers that others write with three decimals: what is doubted, and told
    ("1.234,50", "2", "2.469,00"): None,
    ("1.234,5", "2", "2.469"): None,
    ("1.234", "2", "2.468"): None,
    ("1.234", "2", "24.680"): "2.468",
    ("0.125", "2", "0.25"): None,
}


@pytest.mark.parametrize("cells", GERMAN)
def test_new_rows_are_read_with_the_decimal_mark_of_the_table(cells, to_table):
    generator = np.random.default_rng(0)
    price = np.round(generator.uniform(500, 3000, 300), 2)
    units = generator.integers(1, 9, 300)
    columns = write_orders(price, units, np.round(price * units, 2), write_german)
    rules = Rules.find(to_table(columns))
    row = to_table({name: [cell] for name, cell in zip(columns, cells, strict=True)})
    doubts = rules.judge(row)
    suggestions = [doubt.suggestion for doubt in doubts]
    assert suggestions == ([] if GERMAN[cells] is None else [GERMAN[cells]])
    [(_, holds)] = rules.find_satisfied(row)
    assert holds.tolist() == [not doubts]


def test_a_relation_with_many_exceptions_is_none_whatever_their_value(to_table):
    year = np.arange(60, 160)
    before_the_law = np.arange(100) < 15
    columns = {"year": year, "trend": np.where(before_the_law, 0, year)}
    texts = {name: list(map(str, values)) for name, values in columns.items()}
    assert Rules.find(to_table(texts)).relations == []


@pytest.mark.parametrize(
    ("n_rows", "n_exceptions", "share"),
    [(500, 0, "100"), (500, 1, "99.8"), (200_000, 4, "99.998")],
)
def test_a_rule_with_exceptions_holds_in_less_than_all_rows(
    n_rows, n_exceptions, share
):
    relation = Relation("b", ("a",), None, 2.0, n_rows, n_exceptions)
    dependency = Dependency("a", "b", 1.0, 1.0, n_rows, n_exceptions)
    assert f": {share} % of {n_rows:,} rows, {n_exceptions} exception" in str(relation)
    assert f": {share} % of {n_rows:,} rows, {n_exceptions} exception" in str(
        dependency
    )


def plant_slip(kind, text, generator):
    """What somebody writes who wants a number: none if it is the same."""
    digits = [place for place, letter in enumerate(text) if letter.isdigit()]
    place = int(generator.choice(digits[:-1]))
    following = place + 1 if text[place + 1].isdigit() else place + 2
    if kind == "another digit":
        new = text[:place] + str((int(text[place]) + 3) % 10) + text[place + 1 :]
    elif kind == "transposed":
        letters = list(text)
        letters[place], letters[following] = letters[following], letters[place]
        new = "".join(letters)
    else:
        new = text.replace(".", "")
    return new if float(new) != float(text) else None


@pytest.mark.parametrize("kind", ["another digit", "transposed", "no decimal mark"])
def test_slips_of_the_keyboard_are_found_in_the_column_where_they_are(kind, to_table):
    n_planted = n_found = n_right = 0
    for seed in range(5):
        generator = np.random.default_rng(seed)
        price = np.round(generator.lognormal(3.5, 0.6, 600), 2)
        units = generator.integers(1, 30, 600)
        net = np.round(price * units, 2)
        paid = np.round(generator.uniform(10, 900, 600), 2)
        amounts = {"price": price, "net": net, "paid": paid, "due": net - paid}
        texts = {name: [f"{each:.2f}" for each in amounts[name]] for name in amounts}
        texts["units"] = [str(each) for each in units]
        planted = {}
        for row, name in zip(range(10, 600, 60), [*amounts] * 3, strict=False):
            right = texts[name][row]
            if wrong := plant_slip(kind, right, generator):
                texts[name][row] = wrong
                planted[row + 1, name] = right
        doubts = {
            (doubt.row, doubt.column): doubt for doubt in find_doubts(to_table(texts))
        }
        assert {row for row, _ in doubts} == {row for row, _ in planted}
        n_planted += len(planted)
        n_found += len(planted.keys() & doubts.keys())
        for cell in planted.keys() & doubts.keys():
            suggestion = doubts[cell].suggestion
            n_right += suggestion is not None and float(suggestion) == float(
                planted[cell]
            )
    assert n_found >= 0.85 * n_planted
    assert n_right >= 0.75 * n_planted
