"""Read small files that grow when they are read, under limits of memory and disk.

    python tools/fuzz/growing.py

makes 40 files of twelve formats, most of them of less than a megabyte, and of 1 to 16
GiB once they are read. A process reads each with 2 GiB of addresses, and files of at
most 2 GB. Each is read, or refused in one sentence within 10 seconds of the processor.
"""

import argparse
import bz2
import gzip
import io
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import IO, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import ipc, orc

from tied_tables.io import TableError, open_table

ADDRESSES, DISK, SECONDS = 2 * 2**30, 2 * 10**9, 10
LONG = "x" * 200_000
SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    "<sheetData>{}</sheetData></worksheet>"
)
ODS = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:'
    'office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body>'
    '<office:spreadsheet><table:table table:name="a">{}</table:table>'
    "</office:spreadsheet></office:body></office:document-content>"
)
MANIFEST = (
    "<manifest:manifest xmlns:manifest="
    '"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
)
CELL = (
    '<table:table-cell office:value-type="string"{}><text:p>{}</text:p>'
    "</table:table-cell>"
)


def repeat(part: str, times: int, begin: str = "", end: str = "") -> Iterable[bytes]:
    """Text that is the same part many times, in pieces."""
    yield begin.encode()
    piece = part.encode() * max(1, 2**20 // len(part))
    n_parts = max(1, 2**20 // len(part))
    for _ in range(times // n_parts):
        yield piece
    yield end.encode()


def compress(path: Path, pieces: Iterable[bytes]) -> None:
    openers: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open}
    if path.suffix == ".zst":
        file: IO[bytes] = pa.CompressedOutputStream(str(path), "zstd")
    else:
        file = openers[path.suffix](path, "wb", 1)
    with file:
        for piece in pieces:
            file.write(piece)


def save_text(make: Callable[[], Iterable[bytes]], path: Path) -> None:
    compress(path, make())


def save_parquet(table: pa.Table, path: Path, **options: Any) -> None:
    pq.write_table(table, path, **{"compression": "zstd", **options})


def save_feather(table: pa.Table, path: Path) -> None:
    options = ipc.IpcWriteOptions(compression="zstd")
    with ipc.new_file(str(path), table.schema, options=options) as writer:
        writer.write_table(table)


def save_stream(table: pa.Table, path: Path) -> None:
    options = ipc.IpcWriteOptions(compression="zstd")
    with ipc.new_stream(str(path), table.schema, options=options) as writer:
        writer.write_table(table)


def save_orc(table: pa.Table, times: int, path: Path) -> None:
    options = {"compression": "zstd", "dictionary_key_size_threshold": 1.0}
    with orc.ORCWriter(str(path), **options) as writer:
        for _ in range(times):
            writer.write(table)


def save_sqlite(statements: Iterable[str], path: Path) -> None:
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


def save_duckdb(query: str, path: Path) -> None:
    with duckdb.connect(path) as database:
        database.execute(f"CREATE TABLE t AS {query}")


def save_npz(shape: tuple[int, ...], path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("rows.npy", "w", force_zip64=True) as member,
    ):
        member.write(header.getvalue())
        for _ in range(int(np.prod(shape)) // 2**20):
            member.write(bytes(2**20))


def save_sparse_npy(path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (2**26, 16)}
    )
    path.write_bytes(header.getvalue())
    os.truncate(path, len(header.getvalue()) + 2**33)


def save_xlsx(rows: str, path: Path) -> None:
    from openpyxl import Workbook

    sound = io.BytesIO()
    book = Workbook()
    book.active.append(["a", 1])
    book.save(sound)
    namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    words = f'<sst xmlns="{namespace}"><si><t>a</t></si></sst>'
    parts = {
        "xl/worksheets/sheet1.xml": SHEET.format(rows),
        "xl/sharedStrings.xml": words,
    }
    with (
        zipfile.ZipFile(sound) as old,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in {*old.namelist(), *parts}:
            content = parts.get(name) or old.read(name)
            if name == "[Content_Types].xml":
                kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
                override = (
                    '<Override PartName="/xl/sharedStrings.xml" ContentType='
                    f'"{kind}.sharedStrings+xml"/></Types>'
                )
                content = content.decode().replace("</Types>", override)
            if name == "xl/_rels/workbook.xml.rels":
                kind = "http://schemas.openxmlformats.org/officeDocument/2006"
                relation = (
                    '<Relationship Id="rId99" Target="sharedStrings.xml"'
                    f' Type="{kind}/relationships/sharedStrings"/></Relationships>'
                )
                content = content.decode().replace("</Relationships>", relation)
            new.writestr(name, content)


def save_ods(rows: str, path: Path) -> None:
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", kind, zipfile.ZIP_STORED)
        archive.writestr("content.xml", ODS.format(rows))
        archive.writestr("META-INF/manifest.xml", MANIFEST)


def make_strings(n_rows: int) -> pa.Table:
    """A long text in each row, which is written once."""
    index = pa.array(np.zeros(n_rows, np.int32))
    words = pa.DictionaryArray.from_arrays(index, pa.array([LONG]))
    return pa.table({"a": words, "b": np.arange(n_rows, dtype=np.int32)})


def make_zeros(n_rows: int, n_columns: int) -> pa.Table:
    zeros = np.zeros(n_rows)
    return pa.table({f"x{index}": zeros for index in range(n_columns)})


def make_long(n_bytes: int, n_rows: int) -> pa.Table:
    return pa.table({"a": ["x" * n_bytes] * n_rows, "b": range(n_rows)})


MEGABYTE = 10**6
CORNER = (
    '<row r="1"><c r="A1"><v>1</v></c></row>'
    '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
)
SQL = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}) "
FILL = f"INSERT INTO t (a) {SQL}SELECT i FROM n"
text = partial(partial, save_text)
FILES: dict[str, Callable[[Path], Any]] = {
    "cells of 20 MB.csv.gz": text(
        lambda: repeat("y" * 20 * MEGABYTE + ",1\n", 50, "a,b\n")
    ),
    "cells of 10 MB.csv.gz": text(
        lambda: repeat("y" * 10 * MEGABYTE + ",1\n", 110, "a,b\n")
    ),
    "cells of 200 kB.csv.gz": text(lambda: repeat(LONG + ",1\n", 5_500, "a,b\n")),
    "zeros.csv.gz": text(lambda: repeat("0", 2**30)),
    "spaces.csv.gz": text(lambda: repeat(" ", 2**30, "a,b\n")),
    "line ends.csv.gz": text(lambda: repeat("\n", 2**30, "a,b\n1,2\n")),
    "quotes.csv.gz": text(lambda: repeat('"', 2**30, 'a,b\n1,"')),
    "numbers.csv.bz2": text(lambda: repeat("1,2\n", 2**26, "a,b\n")),
    "cells of 10 MB.csv.bz2": text(
        lambda: repeat("y" * 10 * MEGABYTE + ",1\n", 50, "a,b\n")
    ),
    "cells of 10 MB.csv.zst": text(
        lambda: repeat("y" * 10 * MEGABYTE + ",1\n", 110, "a,b\n")
    ),
    "cells of 10 MB.tsv.gz": text(
        lambda: repeat("y" * 10 * MEGABYTE + "\t1\n", 110, "a\tb\n")
    ),
    "cells of 20 MB.jsonl.gz": text(
        lambda: repeat(json.dumps({"a": "y" * 20 * MEGABYTE}) + "\n", 60)
    ),
    "cells of 10 MB.jsonl.gz": text(
        lambda: repeat(json.dumps({"a": "y" * 10 * MEGABYTE}) + "\n", 60)
    ),
    "lists.jsonl.gz": text(lambda: repeat("[],", 20_000_000, '{"a": [', "[]]}")),
    "short lists.jsonl.gz": text(
        lambda: repeat(json.dumps({"a": [[]] * 2_000_000}) + "\n", 6)
    ),
    "spaces.jsonl.gz": text(lambda: repeat(" ", 2**30, '{"a": 1}\n', '{"a": 1}\n')),
    "cells of 10 MB.json.gz": text(
        lambda: repeat(json.dumps({"a": "y" * 10 * MEGABYTE}) + ",\n", 110, "[\n")
    ),
    "brackets.json.gz": text(lambda: repeat("[", 2**30)),
    "dictionary.parquet": lambda path: save_parquet(make_strings(45_000), path),
    "cells of 10 MB.parquet": lambda path: save_parquet(
        make_long(10 * MEGABYTE, 30), path, use_dictionary=False
    ),
    "zeros.parquet": lambda path: save_parquet(make_zeros(20_000_000, 20), path),
    "one page.parquet": lambda path: save_parquet(
        make_zeros(120_000_000, 1), path, use_dictionary=False, data_page_size=2**30
    ),
    "dictionary.feather": lambda path: save_feather(make_strings(45_000), path),
    "zeros.feather": lambda path: save_feather(make_zeros(20_000_000, 20), path),
    "cells of 10 MB.feather": lambda path: save_feather(
        make_long(10 * MEGABYTE, 180), path
    ),
    "dictionary.arrow": lambda path: save_stream(make_strings(45_000), path),
    "zeros.arrow": lambda path: save_stream(make_zeros(20_000_000, 20), path),
    "cells of 200 kB.orc": lambda path: save_orc(make_long(200_000, 500), 40, path),
    "cells of 10 MB.orc": lambda path: save_orc(make_long(10 * MEGABYTE, 30), 10, path),
    "zeros.npz": partial(save_npz, (2**28, 16)),
    "one row.npz": partial(save_npz, (1, 2**32)),
    "holes.npy": save_sparse_npy,
    "corner.xlsx": partial(save_xlsx, CORNER),
    "rows.ods": partial(
        save_ods,
        '<table:table-row table:number-rows-repeated="1000000">'
        + CELL.format(' table:number-columns-repeated="16000"', "a")
        + "</table:table-row>",
    ),
    "generated.sqlite": partial(
        save_sqlite,
        ["CREATE TABLE t (a, b AS (zeroblob(10000000)))", FILL.format(900)],
    ),
    "text.sqlite": partial(
        save_sqlite,
        ["CREATE TABLE t (a, b AS (printf('%.200000c', 'x')))", FILL.format(20_000)],
    ),
    "cells of 200 kB.duckdb": partial(
        save_duckdb, "SELECT repeat('x', 200000) AS a FROM range(45000)"
    ),
    "cells of 20 kB.duckdb": partial(
        save_duckdb, "SELECT repeat('x', 20000) AS a, i FROM range(450000) t(i)"
    ),
    "zeros.duckdb": partial(
        save_duckdb, "SELECT 0 AS a, i % 2 AS b FROM range(100000000) t(i)"
    ),
}


def make(name: str, path: Path) -> None:
    """Make a file in another process, whose memory is none of ours."""
    pid = os.fork()
    if pid == 0:
        FILES[name](path)
        os._exit(0)
    os.waitpid(pid, 0)


def read(path: Path) -> str:
    """Read a file as a command does, and tell how that ended."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK, DISK))
    try:
        source = open_table(path)
        source.sample(10_000, seed=0)
        n_rows = sum(batch.num_rows for batch in source.batches())
        assert n_rows == source.n_rows
    except TableError as error:
        return f"refused: {error}"
    except MemoryError as error:  # of which the command makes a sentence
        return f"refused, there is too little memory: {error}"
    return f"{n_rows:,} rows"


def check(path: Path) -> tuple[bool, str]:
    """Read a file in a new process; return if it did as it should, and its end."""
    command = [sys.executable, __file__, "--read", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = process.stdout.read().rstrip("\n")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = 0  # it was waited for
    code = os.waitstatus_to_exitcode(status)
    seconds = usage.ru_utime + usage.ru_stime
    is_late = said.startswith("refused") and seconds > SECONDS
    is_right = code == 0 and bool(said) and "\n" not in said and not is_late
    size = f"{path.stat().st_size:,} bytes"
    ending = f"exit code {code}, {seconds:.1f} s, {usage.ru_maxrss / 1024:.0f} MB"
    return is_right, f"{path.name}, {size}: {ending}, {said[:200]}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=[*FILES])
    parser.add_argument("--read", type=Path, help="read one file, as it is done here")
    arguments = parser.parse_args()
    if arguments.read:
        print(read(arguments.read))
        return
    n_failed = 0
    for name in arguments.names:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            make(name, path)
            is_right, ending = check(path)
        n_failed += not is_right
        print("" if is_right else "FAILED: ", ending, sep="", flush=True)
    print(f"{len(arguments.names)} files, {n_failed} failed")
    sys.exit(n_failed > 0)


if __name__ == "__main__":
    main()
