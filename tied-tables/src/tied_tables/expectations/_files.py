"""Steps as the YAML of Pointblank, and as JSON Schema."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import yaml

from tied_tables._table_errors import TableError
from tied_tables.columns import MISSING, Kind
from tied_tables.expectations._expressions import write_literals
from tied_tables.expectations._steps import Step

LARGEST_FILE = 2**22  # bytes
READ_CSV = (
    "pl.read_csv({}, separator={}, null_values={}, infer_schema_length=None,"
    " schema_overrides=dict.fromkeys({}, pl.String))"
)
SCHEMA = "https://json-schema.org/draft/2020-12/schema"


def to_yaml(
    steps: Sequence[Step],
    path: str,
    kinds: Mapping[str, Kind],
    na: Sequence[str] = (),
) -> bytes:
    """Return steps about a file as YAML that `pointblank.yaml_interrogate` reads.

    `kinds` are what `read_kinds` gives, `na` texts of a missing value, beside those
    that always are.
    """
    entries = [{step.method: step.arguments | {"brief": step.brief}} for step in steps]
    plan = {"tbl": _describe_table(path, kinds, na), "steps": entries}
    return msgspec.yaml.encode(plan)


def _describe_table(path: str, kinds: Mapping[str, Kind], na: Sequence[str]) -> Any:
    """Return how Pointblank reads a table: CSV with its gaps and texts."""
    if not path.endswith((".csv", ".tsv")) or not os.path.isfile(path):
        return path
    with open(path, errors="replace") as file:
        separator = max(",;\t|", key=file.readline().count)
    texts = [name for name, kind in kinds.items() if kind is Kind.text]
    return {"python": write_literals(READ_CSV, path, separator, [*MISSING, *na], texts)}


def to_schema(steps: Sequence[Step]) -> bytes:
    """Return the steps about single columns as JSON Schema of an array of rows."""
    properties: dict[str, dict[str, Any]] = {}
    for step in steps:
        if "columns" in step.arguments:
            [name] = step.names
            properties.setdefault(name, {}).update(_describe_values(step))
    row = {"type": "object", "required": list(properties), "properties": properties}
    schema = {"$schema": SCHEMA, "type": "array", "items": row}
    return json.dumps(schema, indent=2, ensure_ascii=False).encode()


def _describe_values(step: Step) -> dict[str, Any]:
    """Return what a value of the column is, in JSON Schema."""
    match step.arguments:
        case {"left": left, "right": right}:
            return {"type": ["number", "null"], "minimum": left, "maximum": right}
        case {"set": values}:
            return {"enum": values}
        case {"pattern": pattern}:
            return {"type": ["string", "null"], "pattern": pattern}
    return {"not": {"type": "null"}}


def read_yaml(path: str) -> list[Step]:
    """Read the steps of a file, maybe untrusted; a `TableError` if it has others."""
    with open(path, "rb") as file:
        text = file.read(LARGEST_FILE + 1)
    try:
        parsed = _parse(text)
        if not isinstance(parsed, dict) or "steps" not in parsed:
            raise ValueError("it has no steps")
        steps = parsed["steps"]
    except Exception as error:  # whatever a file may hold
        reason = " ".join(str(error).split()).rstrip(".")
        raise TableError(f"{path!r} is no file of rules: {reason}.") from error
    return [_read_step(path, *numbered) for numbered in enumerate(steps, 1)]


def _parse(text: bytes) -> Any:
    """Return what short YAML holds in which nothing stands for something long."""
    if len(text) > LARGEST_FILE:
        raise ValueError(f"it has more than {LARGEST_FILE:,} bytes")
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it has an alias")
    return msgspec.yaml.decode(text)


def _read_step(path: str, number: int, entry: Any) -> Step:
    """Return the step of an entry, tried on a row."""
    try:
        [(method, arguments)] = entry.items()
        step = Step(method, arguments, str(arguments.pop("brief", "")))
        names = dict.fromkeys(step.names, pa.array([""]))
        step.find_failing(pa.record_batch(names))
    except Exception as error:  # whatever a file may hold
        raise TableError(
            f"{path!r} has a step, number {number}, that is none of tied-tables rules;"
            " delete it."
        ) from error
    return step
