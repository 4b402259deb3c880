import sqlite3
from contextlib import closing, contextmanager

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

pytest.importorskip("pyarrow")


def read(source, **how):
    """All rows of an open table, or of the table of a path."""
    from tied_tables.io import open_table

    if isinstance(source, str):
        source = open_table(source)
    return pa.Table.from_batches(source.batches(**how))


@pytest.fixture
def open_text(folder):
    """Opens a file of CSV that holds a text."""

    def open_csv(content, **options):
        from tied_tables.io import open_table

        (folder / "rows.csv").write_text(content)
        return open_table("rows.csv", **options)

    return open_csv


@contextmanager
def refused(*parts):
    """Raises a `TableError` of one sentence, which holds some parts."""
    from tied_tables.io import TableError

    with pytest.raises(TableError) as error:
        yield error
    message = str(error.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert "Error" not in message
    assert [part for part in parts if part not in message] == [], message


def save(rows, name):
    """Write rows by pandas and others, in the format of the ending."""
    frame = rows.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    match name.lower().split(".", 1)[1]:
        case "npy":
            np.save(name, np.column_stack(rows.columns))
        case "npz":
            np.savez(name, np.column_stack(rows.columns))
        case "csv" | "csv.gz" | "csv.bz2":
            frame.to_csv(name, index=False)
        case "tsv":
            frame.to_csv(name, index=False, sep="\t")
        case "parquet":
            frame.to_parquet(name, row_group_size=128)
        case "feather":
            frame.to_feather(name, chunksize=128)
        case "arrow":
            with pa.ipc.new_stream(name, rows.schema) as writer:
                writer.write_table(rows, 64)
        case "orc":
            frame.to_orc(name, engine_kwargs={"stripe_size": 1024})
        case "jsonl":
            frame.to_json(name, orient="records", lines=True)
        case "json" | "json.gz":
            frame.to_json(name, orient="records")
        case "xlsx":
            pytest.importorskip("openpyxl")
            frame.to_excel(name, index=False)
        case "sqlite" | "db":
            with closing(sqlite3.connect(name)) as database:
                frame.to_sql("t", database, index=False)
        case "duckdb":
            duckdb = pytest.importorskip("duckdb")
            with duckdb.connect(name) as database:
                database.register("rows", rows)
                database.execute("CREATE TABLE t AS SELECT * FROM rows")
