"""Rules as JSON, which may come from anybody's file."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta, Struct

from tied_tables.columns import NumberText
from tied_tables.rules.dependencies import Dependency, DependencyRule, Groups
from tied_tables.rules.kinds import TextCodes
from tied_tables.rules.numbers import MOST_WRITTEN_PLACES, Numbers
from tied_tables.rules.orders import Order
from tied_tables.rules.relations import OPERATIONS, Relation

Count = Annotated[int, Meta(ge=1, le=2**53)]


class StoredKinds(Struct, forbid_unknown_fields=True):
    """The texts of a column, and how many rows have each."""

    name: str
    texts: list[str]
    counts: list[Count]


class StoredRule(Struct, forbid_unknown_fields=True):
    """A dependency with the pairs of texts that are there, as places of the texts."""

    dependency: Dependency
    prior: Annotated[float, Meta(ge=0)]
    determinants: list[Annotated[int, Meta(ge=0)]]
    dependents: list[Annotated[int, Meta(ge=0)]]
    counts: list[Count]


class StoredNumbers(Struct, forbid_unknown_fields=True):
    """Typical numbers of a column, and how they are written."""

    name: str
    values: Annotated[list[float], Meta(min_length=1)]
    places: Annotated[int, Meta(ge=0, le=MOST_WRITTEN_PLACES)]
    form: NumberText


class StoredRules(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """All rules of a table."""

    kinds: list[StoredKinds]
    rules: list[StoredRule]
    relations: list[Relation]
    numbers: list[StoredNumbers]
    orders: list[Order] = []


def serialize(
    kinds: Sequence[TextCodes],
    rules: Sequence[DependencyRule],
    relations: Sequence[Relation],
    numbers: Sequence[Numbers],
    orders: Sequence[Order],
) -> bytes:
    """Return rules as JSON."""
    stored = StoredRules(
        [_store_kinds(column) for column in kinds],
        [_store_rule(rule) for rule in rules],
        list(relations),
        [_store_numbers(column) for column in numbers],
        list(orders),
    )
    return msgspec.json.encode(stored)


def _store_kinds(column: TextCodes) -> StoredKinds:
    texts = column.texts.to_pylist()
    return StoredKinds(column.name, texts, column.counts.tolist())


def _store_numbers(column: Numbers) -> StoredNumbers:
    values = column.values.tolist()
    return StoredNumbers(column.name, values, column.places, column.form)


def _store_rule(rule: DependencyRule) -> StoredRule:
    groups = rule.groups
    determinants, dependents = np.divmod(groups.keys, groups.n_b)
    return StoredRule(
        rule.dependency,
        rule.prior,
        determinants.tolist(),
        dependents.tolist(),
        groups.counts.tolist(),
    )


def deserialize(
    json: bytes,
) -> tuple[
    list[TextCodes], list[DependencyRule], list[Relation], list[Numbers], list[Order]
]:
    """Return the rules of JSON, maybe untrusted, or raise a `ValueError`."""
    stored = msgspec.json.decode(json, type=StoredRules)
    kinds = [_load_kinds(column) for column in stored.kinds]
    by_name = {column.name: column for column in kinds}
    numbers = [_load_numbers(column) for column in stored.numbers]
    number_names = {column.name for column in numbers}
    _require(len(by_name) == len(kinds), "a column of texts is stored twice")
    _require(len(number_names) == len(numbers), "a column of numbers is stored twice")
    rules = [_load_rule(each, by_name) for each in stored.rules]
    for relation in stored.relations:
        _require_relation(relation)
        is_known = relation.names <= number_names
        _require(is_known, f"there are no numbers for {relation.formula!r}")
    for order in stored.orders:
        _require_order(order, number_names)
    return kinds, rules, stored.relations, numbers, stored.orders


def _load_kinds(stored: StoredKinds) -> TextCodes:
    n_texts = len(stored.texts)
    is_counted = n_texts == len(stored.counts) == len(set(stored.texts))
    _require(is_counted, f"the texts of {stored.name!r} are not those that are counted")
    codes = np.empty(0, np.int32)
    texts = pa.array(stored.texts, pa.string())
    return TextCodes(stored.name, codes, texts, np.array(stored.counts, np.int64))


def _load_rule(stored: StoredRule, kinds: dict[str, TextCodes]) -> DependencyRule:
    dependency = stored.dependency
    pair = {dependency.determinant, dependency.dependent}
    are_known = len(pair) == 2 and pair <= kinds.keys()
    _require(are_known, f"there are no texts for a rule of {sorted(pair)}")
    name = f"the rule of {dependency.dependent!r}"
    is_measured = 0 <= dependency.n_exceptions <= dependency.n_rows > 0
    is_measured = is_measured and 0 < dependency.tau <= 1
    _require(is_measured, f"{name} has counts that contradict one another")
    n_a = len(kinds[dependency.determinant].counts)
    n_b = len(kinds[dependency.dependent].counts)
    n_pairs = len(stored.counts)
    are_pairs = len(stored.determinants) == len(stored.dependents) == n_pairs
    _require(are_pairs, f"{name} has pairs without a count")
    a = np.array(stored.determinants, np.int64)
    b = np.array(stored.dependents, np.int64)
    are_texts = np.all(a < n_a) and np.all(b < n_b)
    _require(are_texts, f"{name} has pairs of texts that are not there")
    keys = a * n_b + b
    _require(np.all(np.diff(keys) > 0), f"{name} has pairs that are not in order")
    counts = np.array(stored.counts, np.int64)
    groups = Groups.of_pairs(keys, counts, n_a, n_b)
    return DependencyRule(dependency, groups, stored.prior)


def _load_numbers(stored: StoredNumbers) -> Numbers:
    values = np.array(stored.values, np.float64)
    is_ascending = np.all(np.isfinite(values)) and np.all(np.diff(values) >= 0)
    _require(is_ascending, f"the numbers of {stored.name!r} are not in order")
    return Numbers(stored.name, values, stored.places, stored.form)


def _require_relation(relation: Relation) -> None:
    n_terms = len(relation.terms)
    is_operation = relation.operation in range(len(OPERATIONS)) and n_terms >= 2
    is_sum = relation.operation is None and n_terms != 2
    is_relation = (is_operation or is_sum) and len(relation.names) == n_terms + 1
    is_relation = is_relation and n_terms > 0 and relation.factor != 0
    is_relation = is_relation and 0 <= relation.n_exceptions <= relation.n_rows > 0
    _require(is_relation, f"the relation of {relation.result!r} is none")


def _require_order(order: Order, number_names: set[str]) -> None:
    pair = {order.lower, order.upper}
    is_known = order.times is not None or pair <= number_names
    is_order = len(pair) == 2 and order.n_exceptions <= order.n_rows
    _require(is_known and is_order, f"the order of {sorted(pair)} is none")


def _require(holds: Any, otherwise: str) -> None:
    """Raise a `ValueError` unless something holds."""
    if not holds:
        raise ValueError(otherwise)
