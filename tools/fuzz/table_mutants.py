"""Mutants of tables, which may be refused in a `TableError`, and else give the rows
they promise.

Of what is packed, half are changed inside, under a right checksum.
"""

import gzip
import json
import random
import sqlite3
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mutants import mutate, mutate_member
from pyarrow import feather, ipc

from tied_tables.columns import Columns
from tied_tables.io import TableError, open_table


def make_table(n: int = 200) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "number": rng.normal(size=n).round(3),
            "whole": pa.array([None if i % 7 == 0 else i * i for i in range(n)]),
            "word": (
                pa.array(
                    [["red", "green", None][i % 3] for i in range(n)]
                ).dictionary_encode()
            ),
            "money": [f"${i * 1234.5:,.2f}" for i in range(n)],
            "day": pa.array(list(range(n)), pa.int32()).cast(pa.date32()),
            "moment": pa.array(
                [i * 10**9 for i in range(n)], pa.timestamp("us", "UTC")
            ),
            "yes": rng.random(n) < 0.5,
        }
    )


def save(form: str, path: Path) -> None:
    table = make_table()
    match form.rpartition(".")[2]:
        case "csv":
            pa.csv.write_csv(table, path)
        case "parquet":
            pq.write_table(table, path, row_group_size=64)
        case "arrow":
            with ipc.new_stream(str(path), table.schema) as writer:
                writer.write_table(table, 64)
        case "feather":
            feather.write_feather(table, str(path), chunksize=64)
        case "npy":
            np.save(path, np.arange(600.0).reshape(200, 3))
        case "npz":
            np.savez_compressed(path, rows=np.arange(600.0).reshape(200, 3))
        case "jsonl":
            rows = table.select(["number", "whole", "money", "yes"]).to_pylist()
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case "orc":
            from pyarrow import orc

            orc.write_table(
                table.select(["number", "whole", "money", "yes"]), str(path)
            )
        case "json":
            path.write_text(
                json.dumps(table.select(["number", "whole", "yes"]).to_pylist())
            )
        case "gz":
            text = pa.BufferOutputStream()
            pa.csv.write_csv(table, text)
            path.write_bytes(gzip.compress(text.getvalue().to_pybytes(), mtime=0))
        case "sqlite":
            with sqlite3.connect(path) as database:
                database.execute("CREATE TABLE t (number, whole, money)")
                rows = table.select(["number", "whole", "money"]).to_pylist()
                database.executemany(
                    "INSERT INTO t VALUES (?, ?, ?)", [[*r.values()] for r in rows]
                )
            database.close()
        case "xlsx":
            from openpyxl import Workbook

            book = Workbook()
            rows = table.select(["number", "money"]).to_pylist()
            for line in [["number", "money"], *([*row.values()] for row in rows)]:
                book.active.append(line)
            book.save(path)


class Tables:
    """Mutants of a table of one format."""

    refusal = TableError

    def __init__(self, form: str, folder: Path) -> None:
        import duckdb  # noqa: F401  # as a mutant may look like a database
        import openpyxl  # noqa: F401

        sound, self.path = Path(folder, f"sound.{form}"), Path(folder, f"mutant.{form}")
        save(form, sound)
        read(sound)
        self.content = sound.read_bytes()
        with suppress(TableError):  # what is imported at an error
            self.path.write_bytes(self.content[:40])
            read(self.path)

    def make(self, chance: random.Random) -> bytes:
        is_whole = chance.random() < 0.5
        match self.path.suffix:
            case ".gz" if not is_whole:
                return gzip.compress(
                    mutate(gzip.decompress(self.content), chance), 1, mtime=0
                )
            case ".npz" | ".xlsx" if not is_whole:
                return mutate_member(self.content, chance)
        return mutate(self.content, chance)

    def read(self) -> None:
        read(self.path)


def read(path: Path) -> None:
    source = open_table(path)
    columns, _ = Columns.survey(source.sample(100, seed=0))
    n_rows = 0
    for batch in source.batches():
        n_rows += columns.decode(columns.encode(batch)).num_rows
    assert n_rows == source.n_rows
