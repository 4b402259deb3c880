"""Messy tables, each with its columns as a person would read them.

`make(folder)` writes them. The values are drawn first, as numbers, days, truths and
names, and are then written as people of three countries write them: what a column holds
is known before any code of ours has seen it.
"""

import csv
import datetime
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

N = 240
MARKS = ("", "-", "--", ".", "#N/A", "n/a")
OTHER_FORMATS = {
    "us money as jsonl": ("us money", "jsonl"),
    "de gaps as parquet": ("de gaps", "parquet"),
    "fr dates as tsv": ("fr dates", "tsv"),
    "de categories as jsonl": ("de categories", "jsonl"),
    "us idle as parquet": ("us idle", "parquet"),
}
DAY = datetime.datetime(2024, 2, 27)


@dataclass(frozen=True)
class Locale:
    """How people of a country write."""

    thousands: str
    decimal: str
    money: str
    date: str
    yes: str
    no: str
    delimiter: str
    encoding: str


LOCALES = {
    "us": Locale(",", ".", "${}", "%m/%d/%Y", "Yes", "No", ",", "utf-8"),
    "de": Locale(".", ",", "{} €", "%d.%m.%Y", "ja", "nein", ";", "cp1252"),
    "fr": Locale("\u00a0", ",", "{} €", "%d/%m/%Y", "oui", "non", ";", "utf-8-sig"),
}


@dataclass(frozen=True)
class Column:
    """A column of text, what a person says that it is, and its values.

    `kind` is number, time, truth, category or left out. `form` is that of a time.
    `exact` is whether the text comes back letter by letter.
    """

    texts: Sequence[str]
    kind: str
    values: Sequence[Any] = ()
    form: str = ""
    exact: bool = True


@dataclass(frozen=True)
class Case:
    """A table on disk."""

    name: str
    path: Path
    columns: dict[str, Column]
    options: dict[str, Any] = field(default_factory=dict)


def group(x: float, places: int, to: Locale) -> str:
    """Write a number with its thousands apart."""
    text = f"{x:,.{places}f}"
    return text.translate({ord(","): to.thousands, ord("."): to.decimal})


class Writer:
    """Columns of one country."""

    def __init__(self, locale: str, seed: int) -> None:
        self.locale, self.random = LOCALES[locale], np.random.default_rng(seed)

    def numbers(self, spread: float = 5000.0, places: int = 2) -> np.ndarray:
        return np.round(self.random.normal(0.3, 1.0, N) * spread, places) + 0.0

    def of(self, values, write: Callable[[Any], str], kind: str = "number") -> Column:
        return Column([write(value) for value in values], kind, list(values))

    def amount(self) -> Column:
        return self.of(self.numbers(), lambda x: group(x, 2, self.locale))

    def money(self) -> Column:
        return self.of(
            self.numbers(), lambda x: self._money(group(abs(x), 2, self.locale), x)
        )

    def _money(self, digits: str, x: float) -> str:
        return ("-" if x < 0 else "") + self.locale.money.format(digits)

    def accounts(self) -> Column:
        def write(x: float) -> str:
            digits = self.locale.money.format(group(abs(x), 2, self.locale))
            return f"({digits})" if x < 0 else digits

        return self.of(self.numbers(), write)

    def percent(self) -> Column:
        space = "" if self.locale.decimal == "." else " "
        return self.of(
            self.numbers(40, 1), lambda x: f"{group(x, 1, self.locale)}{space}%"
        )

    def unit(self, unit: str = " kg") -> Column:
        return self.of(
            np.abs(self.numbers(60, 1)), lambda x: group(x, 1, self.locale) + unit
        )

    def plain(self) -> Column:
        return self.of(
            self.numbers(10, 3), lambda x: f"{x:.3f}".replace(".", self.locale.decimal)
        )

    def counts(self) -> Column:
        return self.of(self.random.integers(0, 40, N), str)

    def big_counts(self) -> Column:
        values = self.random.integers(800, 3_000_000, N)
        return self.of(values, lambda x: group(x, 0, self.locale))

    def gaps(self, column: Column, mark: str, share: float = 0.1) -> Column:
        gone = self.random.random(N) < share
        texts = [
            mark if g else text for g, text in zip(gone, column.texts, strict=True)
        ]
        values = [None if g else v for g, v in zip(gone, column.values, strict=True)]
        return replace(column, texts=texts, values=values)

    def days(self, form: str | None = None) -> Column:
        days = [
            DAY + datetime.timedelta(days=int(d))
            for d in self.random.integers(0, 500, N)
        ]
        form = form or self.locale.date
        return replace(self.of(days, lambda day: day.strftime(form), "time"), form=form)

    def moments(self, form: str) -> Column:
        times = [
            DAY + datetime.timedelta(minutes=int(m))
            for m in self.random.integers(0, 9e5, N)
        ]
        return replace(
            self.of(times, lambda time: time.strftime(form), "time"), form=form
        )

    def truths(self, *spellings: str) -> Column:
        truths = self.random.random(N) < 0.4
        yes = spellings[0::2] or (self.locale.yes,)
        no = spellings[1::2] or (self.locale.no,)
        return Column(
            [str(self.random.choice(yes if t else no)) for t in truths],
            "truth",
            list(truths),
        )

    def words(self, *words: str) -> Column:
        chosen = self.random.choice(words or ("red", "green", "blue"), N)
        return Column(list(map(str, chosen)), "category", list(map(str, chosen)))

    def codes(self) -> Column:
        chosen = self.random.choice(["01069", "80331", "04109", "20095"], N)
        return Column(list(map(str, chosen)), "category", list(map(str, chosen)))

    def names(self) -> Column:
        return Column(
            [f"{a:08x} street" for a in self.random.integers(0, 2**32, N)], "left out"
        )

    def same(self, text: str) -> Column:
        return Column([text] * N, "left out")


def build() -> dict[str, tuple[str, dict[str, Column]]]:
    """Return the tables: by name, the country and the columns."""
    tables: dict[str, tuple[str, dict[str, Column]]] = {}
    for seed, locale in enumerate(LOCALES):
        w = Writer(locale, seed)
        amount = w.amount()
        tables |= {
            f"{locale} money": (
                locale,
                {"price": w.money(), "cost": w.amount(), "n": w.counts()},
            ),
            f"{locale} accounts": (
                locale,
                {"balance": w.accounts(), "rate": w.percent()},
            ),
            f"{locale} units": (
                locale,
                {"weight": w.unit(), "speed": w.unit(" km/h"), "heat": w.unit("°C")},
            ),
            f"{locale} gaps": (
                locale,
                {
                    "a": w.gaps(w.plain(), "-"),
                    "b": w.gaps(w.amount(), "--"),
                    "c": w.gaps(w.counts(), "#N/A"),
                    "d": w.gaps(w.money(), "."),
                    "e": w.gaps(w.days(), "n/a"),
                    "f": w.gaps(w.words(), "-"),
                },
            ),
            f"{locale} dates": (
                locale,
                {
                    "day": w.days(),
                    "iso": w.days("%Y-%m-%d"),
                    "time": w.moments(f"{w.locale.date} %H:%M"),
                    "stamp": w.moments("%Y-%m-%dT%H:%M:%SZ"),
                    "x": w.plain(),
                },
            ),
            f"{locale} categories": (
                locale,
                {
                    "colour": replace(
                        w.words("red", "Red", " red ", "green", "GREEN", "blue"),
                        exact=False,
                    ),
                    "zip": w.codes(),
                    "active": w.truths(),
                    "paid": replace(
                        w.truths("YES", "no", "yes", "NO", "Yes", "No"), exact=False
                    ),
                    "level": w.words("1", "2", "3+"),
                    "street": w.names(),
                    "x": w.plain(),
                },
            ),
            f"{locale} idle": (
                locale,
                {
                    "x": amount,
                    "again": Column(amount.texts, "left out"),
                    "country": w.same("X"),
                    "zero": w.same("0"),
                    "empty": w.same(""),
                    "y": w.plain(),
                },
            ),
            f"{locale} big": (
                locale,
                {"people": w.big_counts(), "area": w.unit(" km²")},
            ),
        }
    w = Writer("us", 99)
    odd = w.plain()
    tables |= {
        "us typing errors": (
            "us",
            {
                "x": Column(
                    ["12.x", *odd.texts[1:-1], "none yet"], "number", exact=False
                ),
                "money": Column(["tbd", *w.money().texts[1:]], "number", exact=False),
                "day": Column(
                    [*w.days("%Y-%m-%d").texts[:-1], "soon"], "time", exact=False
                ),
            },
        ),
        "us clocks": (
            "us",
            {
                "at": w.moments("%H:%M"),
                "when": w.moments("%I:%M %p"),
                "long": w.days("%d %b %Y"),
                "named": w.days("%B %d, %Y"),
                "z": w.plain(),
            },
        ),
        "us swiss": (
            "us",
            {
                "chf": w.of(w.numbers(), lambda x: f"CHF {x:,.2f}".replace(",", "'")),
                "minus": replace(
                    w.of(w.numbers(9, 1), lambda x: f"{x:.1f}".replace("-", "−")),  # noqa: RUF001
                    exact=False,
                ),
                "after": replace(
                    w.of(
                        w.numbers(), lambda x: f"{abs(x):.2f}" + ("-" if x < 0 else "")
                    ),
                    exact=False,
                ),
                "small": replace(
                    w.of(w.numbers(1e-7, 10), lambda x: f"{x:.9e}"),
                    exact=False,
                ),
            },
        ),
        "us answers": (
            "us",
            {
                "test": w.truths("+", "-"),
                "flag": w.truths("T", "F"),
                "on": w.truths("on", "off"),
                "lower": w.truths("true", "false"),
                "upper": w.truths("TRUE", "FALSE"),
                "v": w.counts(),
            },
        ),
        "us mixed": (
            "us",
            {
                "weight": Column(
                    [f"{i % 90} {'kg' if i % 2 else 'g'}" for i in range(N)], "left out"
                ),
                "ticket": Column(
                    [f"A/{i * 37}" if i % 3 == 0 else str(i * 91) for i in range(N)],
                    "left out",
                ),
                "flat": Column(
                    [f"{i % 97}{'ABC'[i % 3]}" for i in range(N)], "left out"
                ),
                "x": w.plain(),
            },
        ),
    }
    return tables


def make(folder: Path) -> list[Case]:
    """Write the tables as CSV, and some of them as JSON lines, Parquet and TSV too."""
    cases = []
    for name, (locale, columns) in build().items():
        stem, to = name.replace(" ", "_"), LOCALES[locale]
        path = folder / f"{stem}.csv"
        write_csv(path, columns, to.delimiter, to.encoding)
        cases.append(Case(name, path, columns))
    for title, (name, ending) in OTHER_FORMATS.items():
        _, columns = build()[name]
        path = folder / f"{name.replace(' ', '_')}.{ending}"
        texts = {column: list(of.texts) for column, of in columns.items()}
        match ending:
            case "parquet":
                pq.write_table(pa.table(texts), path)
            case "tsv":
                write_csv(path, columns, "\t", "utf-16")
            case "jsonl":
                rows = [
                    dict(zip(texts, row, strict=True))
                    for row in zip(*texts.values(), strict=True)
                ]
                path.write_text(
                    "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
                )
        cases.append(Case(title, path, columns))
    return cases


def write_csv(
    path: Path, columns: dict[str, Column], delimiter: str, encoding: str
) -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(
            zip(*(column.texts for column in columns.values()), strict=True)
        )
