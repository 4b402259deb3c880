"""Read files that were changed at random; a process of its own, for it may be killed by them.

    python tests/tables/mutants.py FORMAT FIRST COUNT

prints the seed of each mutant before it is read. What is not a table may end in a `TableError`, and
in nothing else; no code of it runs, no file is written, and as many rows come as were promised.
"""

import faulthandler
import gzip
import json
import os
import random
import resource
import sqlite3
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather, ipc

from keras_tied.tables import Columns, TableError, open_table

FORMATS = (
    *("csv", "csv.gz", "parquet", "arrow", "feather", "npy", "npz", "jsonl", "json", "orc"),
    *("sqlite", "xlsx"),
)
FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "ctypes.")
MEMORY, SECONDS = 3 * 2**30, 60


def make_table(n: int = 200) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "number": rng.normal(size=n).round(3),
            "whole": pa.array([None if i % 7 == 0 else i * i for i in range(n)]),
            "word": pa.array([["red", "green", None][i % 3] for i in range(n)]).dictionary_encode(),
            "money": [f"${i * 1234.5:,.2f}" for i in range(n)],
            "day": pa.array(list(range(n)), pa.int32()).cast(pa.date32()),
            "moment": pa.array([i * 10**9 for i in range(n)], pa.timestamp("us", "UTC")),
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

            orc.write_table(table.select(["number", "whole", "money", "yes"]), str(path))
        case "json":
            path.write_text(json.dumps(table.select(["number", "whole", "yes"]).to_pylist()))
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


def mutate(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        # Half of the changes are at the ends, where the files tell what they hold.
        ends = min(600, len(data))
        place = chance.choice(
            [
                chance.randrange(len(data)),
                chance.randrange(ends),
                len(data) - 1 - chance.randrange(ends),
            ]
        )
        span = chance.choice([1, 1, 1, 2, 4, 8, 40])
        match chance.randrange(6):
            case 0 | 1:
                data[place] = chance.randrange(256)
            case 2:
                data[place : place + span] = chance.randbytes(span)
            case 3:
                data[place : place + span] = chance.choice([b"\0", b"\xff", b"\x7f"]) * span
            case 4:
                del data[place : place + span]
            case 5:
                data[place:place] = data[place : place + span]
        data = data or bytearray(b"\0")
    return bytes(data)


def read(path: Path) -> None:
    source = open_table(path)
    columns, _ = Columns.survey(source.sample(100, seed=0))
    n_rows = 0
    for batch in source.batches():
        n_rows += columns.decode(columns.encode(batch)).num_rows
    assert n_rows == source.n_rows


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what no table may do, once tables are read that were changed."""
    runs_text = event == "exec" and arguments[0].co_filename.startswith("<")  # and no module
    writes = event == "open" and {*str(arguments[1])} & {*"wax+"}
    if event.startswith(FORBIDDEN) or runs_text or writes:
        raise SystemExit(f"a table did this: {event} {arguments!r:.200}")


def main(form: str, first: int, count: int) -> None:
    faulthandler.enable()
    faulthandler.dump_traceback_later(SECONDS * 8, exit=True)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as folder:
        sound, path = Path(folder, f"sound.{form}"), Path(folder, f"mutant.{form}")
        save(form, sound)
        read(sound)
        content, refused = sound.read_bytes(), 0
        with suppress(TableError):  # what is imported at an error
            path.write_bytes(content[:40])
            read(path)
        watching = []
        sys.addaudithook(lambda *event: watch(*event) if watching else None)
        for seed in range(first, first + count):
            print(seed, flush=True)
            path.write_bytes(mutate(content, random.Random(seed)))
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            watching.append(seed)
            try:
                read(path)
            except TableError as error:
                refused += 1
                if "\n" in str(error):
                    raise
            finally:
                watching.clear()
    print("done", refused, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
