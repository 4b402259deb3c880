"""Messy tables, each with its columns as a person would read them.

`make(folder)` writes them. The values are drawn first, as numbers, times, truths and
names, and are then written as people of three countries write them: what a column holds
is known before any code of ours has seen it.
"""

import csv
import datetime
from collections import namedtuple

import numpy as np
from numpy.random import default_rng

N = 240
MARKS = ("", "-", "--", ".", "#N/A", "n/a")
DAY = datetime.datetime(2024, 2, 27)


# How people of a country write; `marks` stand between thousands, and before decimals.
Locale = namedtuple("Locale", "marks money percent date truths delimiter encoding")
LOCALES = {
    "us": Locale(",.", "${}", "{}%", "%m/%d/%Y", ("Yes", "No"), ",", "utf-8"),
    "de": Locale(".,", "{} €", "{} %", "%d.%m.%Y", ("ja", "nein"), ";", "cp1252"),
    "fr": Locale(
        "\u00a0,", "{} €", "{} %", "%d/%m/%Y", ("oui", "non"), ";", "utf-8-sig"
    ),
}


# A column of text, what a person says that it is, and its values. `kind` is number,
# time, truth, category or left out. `form` is that of a time. `exact` is whether the
# text comes back letter by letter.
Column = namedtuple(
    "Column", "texts kind values form exact", defaults=["left out", (), "", True]
)
# A table on disk.
Case = namedtuple("Case", "path columns")


class Writer:
    """Columns of one country."""

    def __init__(self, country, seed):
        self.locale = LOCALES[country]
        self.random = default_rng(seed)

    def numbers(self, form="{}", places=2, spread=5000.0, negative="-{}"):
        """Numbers in a form, and those below zero in another form around it."""
        values = np.round(self.random.normal(0.3 * spread, spread, N), places) + 0.0
        marks = str.maketrans(",.", self.locale.marks)
        texts = []
        for value in values.tolist():
            digits = f"{abs(value):,.{places}f}".translate(marks)
            text = form.format(digits)
            texts.append(negative.format(text) if value < 0 else text)
        return Column(texts, "number", values)

    def times(self, form):
        minutes = self.random.integers(0, 900_000, N).tolist()
        times = [DAY + datetime.timedelta(minutes=each) for each in minutes]
        texts = [time.strftime(form) for time in times]
        values = [datetime.datetime.strptime(text, form) for text in texts]
        return Column(texts, "time", values, form)

    def truths(self, *spellings):
        """Words of which those at odd places are true."""
        texts = self.random.choice(spellings, N).tolist()
        values = [text in spellings[::2] for text in texts]
        return Column(texts, "truth", values, exact=len(spellings) == 2)

    def words(self, *words, exact=True):
        texts = self.random.choice(words, N).tolist()
        return Column(texts, "category", texts, exact=exact)

    def gaps(self, column, mark):
        is_gap = self.random.random(N) < 0.1
        texts = np.where(is_gap, mark, column.texts)
        values = np.where(is_gap, None, column.values)
        return column._replace(texts=texts, values=values)


def of_country(country, seed):
    w = Writer(country, seed)
    locale = w.locale
    return {
        "accounts": {
            "balance": w.numbers(locale.money, negative="({})"),
            "rate": w.numbers(locale.percent, 1, 40),
            "area": w.numbers("{} km²", 1, 60),
            "people": w.numbers(places=0, spread=1e6),
        },
        "gaps": {
            "a": w.gaps(w.numbers("{}", 3, 10), "-"),
            "b": w.gaps(w.numbers(), "--"),
            "c": w.gaps(w.numbers(places=0, spread=20), "#N/A"),
            "d": w.gaps(w.numbers(locale.money), "."),
            "e": w.gaps(w.times(locale.date), "n/a"),
            "f": w.gaps(w.words("red", "green", "blue"), "-"),
        },
        "dates": {
            "day": w.times(locale.date),
            "time": w.times(f"{locale.date} %H:%M"),
        },
        "categories": {
            "colour": w.words(
                *("red", "Red", " red ", "green", "GREEN", "blue"), exact=False
            ),
            "zip": w.words("01069", "80331", "04109", "20095"),
            "active": w.truths(*locale.truths),
            "paid": w.truths("YES", "no", "yes", "NO", "Yes", "No"),
            "level": w.words("1", "2", "3+"),
            "street": Column([f"{i * 7**9:x} street" for i in range(N)]),
        },
    }


def of_odd_columns():
    w = Writer("us", 99)
    money, days = w.numbers("${}"), w.times("%Y-%m-%d")
    plain = w.numbers("{}", 3, 10)
    return {
        "typing errors": {
            "x": Column(
                ["12.x", *plain.texts[1:-1], "none yet"], "number", exact=False
            ),
            "money": Column(["tbd", *money.texts[1:]], "number", exact=False),
            "day": Column([*days.texts[:-1], "soon"], "time", exact=False),
        },
        "answers": {
            "test": w.truths("+", "-"),
            "flag": w.truths("T", "F"),
            "on": w.truths("on", "off"),
            "lower": w.truths("true", "false"),
            "upper": w.truths("TRUE", "FALSE"),
        },
        "mixed": {
            "weight": Column([f"{i % 90} {['g', 'kg'][i % 2]}" for i in range(N)]),
            "ticket": Column([f"{['A/', ''][i % 2]}{i * 37}" for i in range(N)]),
            "flat": Column([f"{i % 97}{'ABC'[i % 3]}" for i in range(N)]),
            "x": w.numbers(),
        },
    }


def build():
    """Return the tables: by name, the country and the columns."""
    tables = {}
    for seed, country in enumerate(LOCALES):
        for name, columns in of_country(country, seed).items():
            tables[f"{country} {name}"] = country, columns
    for name, columns in of_odd_columns().items():
        tables[f"us {name}"] = "us", columns
    return tables


def make(folder):
    """Write the tables as CSV."""
    cases = {}
    for name, (country, columns) in build().items():
        path = folder / f"{name}.csv"
        locale = LOCALES[country]
        rows = zip(*(column.texts for column in columns.values()), strict=True)
        with path.open("w", newline="", encoding=locale.encoding) as file:
            writer = csv.writer(file, delimiter=locale.delimiter)
            writer.writerow(columns)
            writer.writerows(rows)
        cases[name] = Case(path, columns)
    return cases
