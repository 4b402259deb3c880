"""What determines what: rules between columns, and the cells that break them.

Rules are found by counting the texts of a table as they stand in its file; nothing is
trained. Columns of numbers are compared by relations such as `net + vat = gross`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tied_tables._types import Array
from tied_tables.rules._doubt import Doubt
from tied_tables.rules.agreement import find_minorities
from tied_tables.rules.contradictions import apply_rules, find_contradictions
from tied_tables.rules.decimals import doubt_decimals
from tied_tables.rules.dependencies import (
    Dependency,
    DependencyRule,
    find_rules,
    keep_rules,
)
from tied_tables.rules.gaps import impute_by_rules, solve_gaps
from tied_tables.rules.kinds import TextCodes, align_codes, find_kinds
from tied_tables.rules.numbers import (
    MOST_NUMBER_COLUMNS,
    Numbers,
    find_numbers,
    read_numbers,
)
from tied_tables.rules.orders import Order, find_order_errors, find_orders, find_times
from tied_tables.rules.relations import Relation, SatisfiedRelation, find_relations
from tied_tables.rules.slips import find_misread_numbers, find_relation_errors
from tied_tables.rules.stored import deserialize, serialize
from tied_tables.rules.texts import (
    doubt_encoding,
    doubt_misspellings,
    doubt_patterns,
    doubt_percents,
    doubt_suffixes,
)

__all__ = [
    "Dependency",
    "Doubt",
    "Order",
    "Relation",
    "Rules",
    "SatisfiedRelation",
    "find_kinds",
    "find_minorities",
]

RULE_SAMPLE_CELLS = 2**22  # in which rules are found


class Rules(NamedTuple):
    """The rules of a table, which judge its rows and others.

    Attributes:
        kinds: the texts of the columns that stand in dependencies, by name, with how
            many rows have each, but without the rows.
        rules: the dependencies with their counts, by dependent, the most telling first.
        relations: between numbers.
        numbers: typical numbers of each column that stands in a relation or an order,
            by name.
        orders: dates and numbers that are never above others.

    Examples:
        >>> import pyarrow as pa
        >>> from tied_tables.rules import Rules
        >>> columns = {"zip": [*"1234"] * 25, "city": ["Bern", "Rome"] * 50}
        >>> rules = Rules.find(pa.table(columns))
        >>> print(*rules.dependencies)
        zip determines city: 100 % of 100 rows, 0 exceptions
        >>> [doubt] = rules.judge(pa.table({"zip": ["1"], "city": ["Rome"]}))
        >>> doubt.column, doubt.suggestion, doubt.reason
        ('city', 'Bern', 'city Rome; it is Bern in 25 of 26 rows with zip 1')
    """

    kinds: dict[str, TextCodes]
    rules: list[DependencyRule]
    relations: list[Relation]
    numbers: dict[str, Numbers]
    orders: list[Order]

    @classmethod
    def find(cls, table: pa.Table) -> Self:
        """Find the rules of a table, best with its texts as they are in the file.

        Of a table with more than four million cells, it looks at the first rows.
        """
        most_rows = RULE_SAMPLE_CELLS // max(1, table.num_columns)
        table = table.slice(0, most_rows)
        columns = find_kinds(table)
        numbers = find_numbers(columns)
        kinds, rules = keep_rules(columns, find_rules(columns))
        read = {column.name for column in numbers}
        numbers = numbers[:MOST_NUMBER_COLUMNS]
        relations = find_relations(numbers)
        times = find_times([column for column in columns if column.name not in read])
        orders = find_orders(times, numbers, relations)
        related = {name for relation in relations for name in relation.names}
        related |= {name for order in orders for name in (order.lower, order.upper)}
        typical = [column.summarize() for column in numbers if column.name in related]
        return cls.of(kinds, rules, relations, typical, orders)

    @classmethod
    def of(
        cls,
        kinds: Sequence[TextCodes],
        rules: Sequence[DependencyRule],
        relations: Sequence[Relation],
        numbers: Sequence[Numbers],
        orders: Sequence[Order],
    ) -> Self:
        """Put rules together."""
        return cls(
            {column.name: column for column in kinds},
            list(rules),
            list(relations),
            {column.name: column for column in numbers},
            list(orders),
        )

    def to_json(self) -> bytes:
        """Return the rules as JSON."""
        kinds, numbers = list(self.kinds.values()), list(self.numbers.values())
        return serialize(kinds, self.rules, self.relations, numbers, self.orders)

    @classmethod
    def from_json(cls, json: bytes) -> Self:
        """Read what `to_json` gives, maybe untrusted, or raise a `ValueError`."""
        try:
            return cls.of(*deserialize(json))
        except (ValueError, OverflowError, pa.ArrowException) as error:
            raise ValueError(f"its rules are damaged: {error}") from error

    def list_words(self) -> list[str]:
        """Return the rules in words, relations first."""
        found = *self.relations, *self.orders, *self.dependencies
        return list(map(str, found))

    @property
    def dependencies(self) -> list[Dependency]:
        """The most telling rule for each column that has one."""
        first: dict[str, Dependency] = {}
        for rule in self.rules:
            first.setdefault(rule.dependency.dependent, rule.dependency)
        return list(first.values())

    @property
    def determinants(self) -> dict[str, list[str]]:
        """The columns that determine a column, the most telling first, by its name."""
        found: dict[str, list[str]] = {}
        for rule in self.rules:
            determinant, dependent = rule.dependency[:2]
            found.setdefault(dependent, []).append(determinant)
        return found

    def judge(
        self, table: pa.Table, marks: Mapping[str, Collection[str]] | None = None
    ) -> list[Doubt]:
        """Return the cells of rows that break rules, one doubt for each.

        First come wrong numbers, then contradictions, the surest first, then texts that
        are odd in how they are written.

        Args:
            table: the rows.
            marks: texts that stand for missing values, by column. Defaults to none.
        """
        columns = self.align(find_kinds(table))
        numbers = self.read_numbers(columns)
        by_name = {column.name: column for column in columns}
        doubts = [
            *find_relation_errors(self.relations, numbers, by_name, self.numbers),
            *find_misread_numbers(self.relations, numbers, by_name, marks or {}),
            *find_order_errors(self.orders, by_name, numbers),
            *find_contradictions(columns, self.rules),
            *doubt_encoding(columns),
            *doubt_suffixes(columns),
            *doubt_misspellings(columns),
            *doubt_patterns(columns),
            *doubt_percents(columns),
            *self._doubt_decimals(columns, numbers),
        ]
        # Those that know what is right come first.
        doubts.sort(key=lambda doubt: doubt.suggestion is None)
        first: dict[tuple[int, str | None], Doubt] = {}
        for doubt in doubts:
            first.setdefault((doubt.row, doubt.column), doubt)
        return list(first.values())

    def _doubt_decimals(
        self, columns: Sequence[TextCodes], numbers: Mapping[str, Numbers]
    ) -> Iterator[Doubt]:
        """Doubt numbers with a wrong decimal mark, but where a relation holds."""
        satisfied = self._list_satisfied(numbers)
        for doubt in doubt_decimals(columns):
            is_satisfied = (
                doubt.column in names and holds[doubt.row - 1]
                for names, holds in satisfied
            )
            if not any(is_satisfied):
                yield doubt

    def align(self, columns: Sequence[TextCodes]) -> list[TextCodes]:
        """Return columns with the codes that their texts have in these rules."""
        aligned = []
        for column in columns:
            known = self.kinds.get(column.name)
            aligned.append(column if known is None else align_codes(column, known))
        return aligned

    def fill(
        self,
        rows: pa.RecordBatch,
        gaps: Mapping[str, NDArray[np.bool_]],
        alone: Collection[str] = (),
    ) -> dict[str, Array]:
        """Return the texts that rules suggest for gaps, by column; None elsewhere.

        Args:
            rows: the rows.
            gaps: where values are missing, by column, (rows,) bool.
            alone: columns that nothing but rules imputes: all their gaps get a text.
        """
        columns = self.align(find_kinds(pa.Table.from_batches([rows])))
        rules = apply_rules(columns, self.rules)
        numbers = self.read_numbers(columns)
        found = solve_gaps(numbers, self.relations, gaps)
        for column in columns:
            name = column.name
            if name in gaps and name in rules:
                rule_values = impute_by_rules(
                    column, rules[name], gaps[name], is_alone=name in alone
                )
                solved = found.get(name, rule_values)
                is_unsolved = solved == None  # noqa: E711
                found[name] = np.where(is_unsolved, rule_values, solved)
        return found

    def read_numbers(self, columns: Sequence[TextCodes]) -> dict[str, Numbers]:
        """Read the columns of relations and orders, by name; without numbers as NaN."""
        found = {}
        for column in columns:
            if known := self.numbers.get(column.name):
                numbers = read_numbers(column, 1, known.form.decimal)
                missing = np.full(len(column.codes), np.nan)
                found[column.name] = numbers or known._replace(values=missing)
        return found

    def find_satisfied(self, table: pa.Table) -> list[SatisfiedRelation]:
        """Return the columns of each relation, and the rows in which it holds."""
        return self._list_satisfied(self.read_numbers(find_kinds(table)))

    def _list_satisfied(
        self, numbers: Mapping[str, Numbers]
    ) -> list[SatisfiedRelation]:
        satisfied = []
        for relation in self.relations:
            if relation.names <= numbers.keys():
                holds, _ = relation.check(numbers)
                satisfied.append((relation.names, holds))
        return satisfied
