"""Values that may be a category of their column, misspelt."""

import pyarrow as pa

from tied_tables.columns import Columns, NotedValues
from tied_tables.rules import Doubt


def list_misspelt(misspelt: NotedValues, columns: Columns) -> list[Doubt]:
    """Doubt values that may be misspellings, and suggest the category they count as."""
    doubts = []
    for column in columns.used:
        texts = misspelt.texts.get(column.name, {})
        cells = column.clean(pa.array(texts, pa.string())).to_pylist()
        meanings = dict(column.find_meanings(cells))
        for place, (text, (rows, _)) in enumerate(texts.items()):
            meaning = column.categories[meanings[place]]
            reason = f"{column.name} {text} may be a misspelling of {meaning}"
            doubts += [Doubt(row, column.name, text, meaning, reason) for row in rows]
    return doubts
