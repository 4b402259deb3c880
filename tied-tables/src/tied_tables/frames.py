"""What `tied-tables check` and `corrections` do, as functions of frames."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from tied_tables._text import quote
from tied_tables.checks import (
    CORRECTIONS_EFFORT,
    FIELDS,
    describe_columns,
    find_corrections,
)
from tied_tables.columns import Columns, Frame, wrap
from tied_tables.estimator import REMEDIES, TiedAutoencoder
from tied_tables.io import TableError, hold_rows
from tied_tables.rows import BatchTransform, Scan
from tied_tables.rules import Rules

RESULT_TYPES = {
    "row": pa.int64(),
    "one_in": pa.float64(),
    "one_in_corrected": pa.float64(),
    "examples": pa.string(),
    "note": pa.string(),
    "warning": pa.string(),
}


def check(X: Any, *, categorical_features: Sequence[str] | None = None) -> Any:
    """Describe the columns of a frame, as `TiedAutoencoder.fit` reads them.

    Args:
        X: the rows, `(n_samples, n_features)`: a frame of pandas, Polars or Arrow.
        categorical_features: the names of columns whose values are categories. Defaults
            to None: those whose dtype is categories.

    Returns:
        A frame of the same library, with a row for each column: `column`, its name;
        `reads_as`, what its values are; its `role`: used, constant, copy or unusable;
        `numbers`, how many it becomes; how many of its values are `missing`, `misread`
        (treated as missing) and `distinct`; some `examples`; a `note` on why it is
        left out or what else it may be; and a `warning` of doubtful values. Texts are
        missing where there is nothing to say.

    Raises:
        ImportError: without PyArrow and rapidfuzz.
        TypeError: if `X` is no frame.
        TableError: if a value of the frame cannot be used, two columns have one name,
            or a name is of no column.

    Examples:
        >>> import pandas as pd
        >>> from tied_tables import check
        >>> sizes = [3.0, 5.0, 8.0, 4.0, 6.0] * 12
        >>> frame = pd.DataFrame({"town": ["Cork", "Delft"] * 30, "size": sizes})
        >>> frame.loc[7, "size"] = 1e6
        >>> checked = check(frame)
        >>> checked[["column", "reads_as", "role", "numbers", "missing"]]
          column    reads_as  role  numbers  missing
        0   town  categories  used        2        0
        1   size     numbers  used        1        0
        >>> print(checked["warning"][1].partition(" (")[0])
        has '1000000' in row 8, far outside its other values
    """
    frame = _read(X)
    columns, facts = Columns.survey_frame(frame, categorical_features)
    rows = frame.rows
    texts = describe_columns(hold_rows(rows), rows, columns, facts, REMEDIES)
    arrays = {
        "column": [text.name for text in texts],
        "reads_as": [text.reads_as for text in texts],
        "role": [str(fact.role) for fact in facts],
        "numbers": [text.numbers for text in texts],
        "missing": [text.missing for text in texts],
        "misread": [text.misread for text in texts],
        "distinct": [text.distinct for text in texts],
        "examples": [", ".join(text.examples) or None for text in texts],
        "note": [text.note or None for text in texts],
        "warning": ["; ".join(text.warnings) or None for text in texts],
    }
    table = pa.table(
        {name: pa.array(arrays[name], RESULT_TYPES.get(name)) for name in arrays}
    )
    return wrap(frame.library, table, list(arrays), None)


def corrections(
    X: Any, model: TiedAutoencoder | None = None, *, same: str | None = None
) -> Any:
    """List what to correct in a frame, as `tied-tables corrections` does for a file.

    Args:
        X: the rows, `(n_samples, n_features)`: a frame of pandas, Polars or Arrow.
        model: an estimator that was fitted to such a frame. Defaults to None: one of 2
            components, or of 1 for fewer than 3 numbers, is fitted to `X`, with at most
            an eighth of the usual steps of training.
        same: a column that names what several rows speak of, such as a flight: a value
            that differs from that of most rows with the same one is doubted. Defaults
            to none.

    Returns:
        A frame of the same library, with a row for each correction, the most certain
        first; in pandas with the index that the row has in `X`. It holds `row`, counted
        from 1; the `column`, the `value` there and a `suggestion`, as text, or missing
        where the whole row is doubtful; `why`; the rarity of the row, `one_in`, and
        with the suggestion, `one_in_corrected`.

    Raises:
        ImportError: without PyArrow and rapidfuzz.
        TypeError: if `X` is no frame.
        TableError: if a value of the frame cannot be used, two columns have one name,
            or there is no column `same`.

    Examples:
        >>> import pandas as pd
        >>> from tied_tables import corrections
        >>> towns = ["Bergen", "Delft", "Cork"] * 30
        >>> sizes = [3.0, 5.0, 8.0] * 30
        >>> frame = pd.DataFrame({"town": [*towns, "Bergn"], "size": [*sizes, 3.0]})
        >>> corrections(frame)[["row", "column", "value", "suggestion"]]
            row column  value suggestion
        90   91   town  Bergn     Bergen
    """
    frame = _read(X)
    if same is not None and same not in frame.rows.schema.names:
        raise TableError(f"X has no column {same!r}; set same to the name of one.")
    if model is None:
        model = _fit(X)
    fitted = model._model
    columns = fitted.columns or Columns.of_numbers(frame.rows.schema.names)
    batch = columns.read_frame(frame)
    if fitted.rules is None:
        rules = Rules.find(pa.Table.from_batches([batch]))
        fitted = replace(fitted, rules=rules)
    rows = Scan(hold_rows(batch), columns, reads="all")
    transform = BatchTransform(fitted, columns, "scores")
    doubts = find_corrections(rows, transform, same)
    lists = list(zip(*doubts, strict=True)) or [()] * len(FIELDS)
    arrays = {
        name: pa.array(values, RESULT_TYPES.get(name, pa.string()))
        for name, values in zip(FIELDS, lists, strict=True)
    }
    found = wrap(frame.library, pa.table(arrays), FIELDS, None)
    if frame.library == "pandas":
        found.index = X.index.take([doubt.row - 1 for doubt in doubts])
    return found


def _read(X: Any) -> Frame:
    """Read a frame, and raise if it is none."""
    if not (hasattr(X, "columns") or hasattr(X, "column_names")):
        raise TypeError(
            f"X must be a pandas, Polars or Arrow frame, not {type(X).__name__}."
        )
    frame = Frame.read(X)
    counts = Counter(map(str, frame.names))
    if twice := [name for name in counts if counts[name] > 1]:
        raise TableError(f"X has duplicate column names: {quote(twice)}; rename them.")
    return frame


def _fit(X: Any) -> TiedAutoencoder:
    """Fit a model with as many components as the command chooses."""
    columns, _ = Columns.survey_frame(Frame.read(X))
    n_components = 1 if len(columns.features) <= 2 else 2
    model = TiedAutoencoder(n_components, random_state=0)
    model._train(X, effort=CORRECTIONS_EFFORT)
    return model
