"""Run commands that read a table while another process writes to it.

    python tools/fuzz/writers.py --runs 200 check fit encode score

Each command runs as often, in a process that is forked from this one, on files that
are replaced, written anew, appended to and cut, and on SQLite in both modes. It ends
with an error, or its rows are all those of one state of the file: none is of another
version, and none is missing. Prints how many were results and errors.
"""

import argparse
import csv
import importlib
import json
import os
import pkgutil
import random
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from tied_tables import cli

ROWS, MORE = 12_000, 50  # of a version: ROWS and up to MORE others
OUTPUTS = {"encode": "csv", "reconstruct": "csv", "fill": "csv", "score": "csv"}
OUTPUTS |= {"fit": "safetensors", "plot": "svg", "report": "html", "check": ""}


def make_rows(version: int) -> pd.DataFrame:
    """The rows of a version, which each row names."""
    n = ROWS + version % MORE
    places = np.arange(n)
    rng = np.random.default_rng(version)
    a = rng.normal(size=n)
    return pd.DataFrame(
        {
            "row": [f"{version}:{place}" for place in places],
            "version": version,
            "a": a,
            "b": a**2 + version % 3,
            "c": np.where(places % 9 == 0, np.nan, a - 1),
        }
    )


def save(rows: pd.DataFrame, path: Path) -> None:
    match path.suffix:
        case ".csv":
            rows.to_csv(path, index=False)
        case ".parquet":
            rows.to_parquet(path, row_group_size=2000)
        case ".feather":
            rows.to_feather(path, chunksize=2000)
        case ".jsonl":
            rows.to_json(path, orient="records", lines=True)


def replace(path: Path, version: int) -> None:
    new = path.with_name(f"new{path.suffix}")
    save(make_rows(version), new)
    os.replace(new, path)


def rewrite(path: Path, version: int) -> None:
    save(make_rows(version), path)


def append(path: Path, version: int) -> None:
    if version % 8 == 0:
        return rewrite(path, version)
    with path.open() as file:
        first = file.readlines()[1].split(":")[0]
        n = sum(1 for _ in path.open()) - 1
    with path.open("a") as file:
        for place in range(n, n + 200):
            file.write(f"{first}:{place},{first},1.0,2.0,3.0\n")


def cut(path: Path, version: int) -> None:
    if version % 2:
        return rewrite(path, version)
    content = path.read_bytes()
    end = content.rfind(b"\n", 0, len(content) * 2 // 3) + 1
    os.truncate(path, end)


def update(path: Path, version: int) -> None:
    """Replace all rows of a database in one transaction."""
    database = sqlite3.connect(path, timeout=60)
    with suppress(sqlite3.OperationalError), database:
        database.execute("DELETE FROM t")
        rows = make_rows(version).astype(object)
        rows = rows.where(rows.notna(), None)
        database.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows.itertuples(index=False)
        )
    database.close()


WRITERS: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "replaced csv": ("rows.csv", replace),
    "replaced parquet": ("rows.parquet", replace),
    "replaced feather": ("rows.feather", replace),
    "replaced jsonl": ("rows.jsonl", replace),
    "rewritten csv": ("rows.csv", rewrite),
    "rewritten parquet": ("rows.parquet", rewrite),
    "rewritten feather": ("rows.feather", rewrite),
    "appended csv": ("rows.csv", append),
    "cut csv": ("rows.csv", cut),
    "sqlite, delete": ("rows.db", update),
    "sqlite, wal": ("rows.db", update),
}


def begin(kind: str, folder: Path) -> tuple[Path, int]:
    """Write a first version, and start a process that writes others without end."""
    name, write = WRITERS[kind]
    path = folder / name
    if name == "rows.db":
        database = sqlite3.connect(path)
        database.execute(f"PRAGMA journal_mode = {kind.split(', ')[1]}")
        make_rows(1).to_sql("t", database, index=False)
        database.close()
    else:
        save(make_rows(1), path)
    pid = os.fork()
    if pid:
        return path, pid
    chance = random.Random(os.getpid())
    for version in range(2, 10**9):
        time.sleep(chance.choice([0.0, 0.02, 0.1, 0.4]))
        write(path, version)
    os._exit(0)


def run(command: str, path: Path, model: Path, out: Path) -> tuple[int, str, str]:
    """Run a command in a process that is forked; return its code and what it says."""
    line = [command]
    if command not in ("check", "fit"):
        line.append(str(model))
    line += [str(path), "--json", "--quiet"]
    if OUTPUTS[command]:
        line += ["-o", str(out)]
    if command == "fit":
        line += ["--hidden", "2", "--epochs", "1", "--solver", "nadam"]
    if command in ("fit", "encode", "reconstruct", "score"):
        line += ["--id", "row"]
    streams = [out.with_name(name) for name in ("stdout", "stderr")]
    pid = os.fork()
    if pid == 0:
        for stream, number in zip(streams, (1, 2), strict=True):
            os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.argv = ["keras-tied", *line]
        code = 70
        try:
            code = cli.run()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    _, status = os.waitpid(pid, 0)
    said, errors = (stream.read_text() for stream in streams)
    return os.waitstatus_to_exitcode(status), said, errors


def find_fault(command: str, kind: str, said: str, out: Path) -> str:
    """Return what is wrong with a result, or ""."""
    facts = json.loads(said)
    n_rows = facts.get("rows", ROWS)
    if command in ("encode", "reconstruct", "fill", "score"):
        with out.open(newline="") as file:
            names = [row["row"].split(":") for row in csv.DictReader(file)]
        versions = {version for version, _ in names}
        places = sorted(int(place) for _, place in names)
        if len(versions) > 1:
            return f"versions {sorted(versions)[:5]}"
        if places != list(range(len(places))):
            return "rows are missing or stand twice"
        n_rows = len(names)
    if command in ("check", "fit"):
        columns = facts.get("table", facts)["columns"]
        [version] = [column for column in columns if column["name"] == "version"]
        if version["distinct"] != 1:
            return f"{version['distinct']} versions"
    is_whole = ROWS <= n_rows < ROWS + MORE
    if not is_whole and kind not in ("appended csv", "cut csv", "rewritten csv"):
        return f"{n_rows} rows"
    return ""


def import_all() -> None:
    """Import what commands import, so that each need not."""
    names = "cli columns estimator fitted fitting plotting report rows tables"
    for name in names.split():
        package = importlib.import_module(f"keras_tied.{name}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with suppress(ImportError):
                importlib.import_module(module.name)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("commands", nargs="*", default=[*OUTPUTS], metavar="COMMAND")
    parser.add_argument("--runs", type=int, default=200)
    given = parser.parse_args()
    import_all()
    counts: Counter[tuple[str, str]] = Counter()
    n_faults = 0
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary, "whole.csv")
        save(make_rows(0), whole)
        model, out = Path(temporary, "model.safetensors"), Path(temporary, "out")
        code, _, errors = run("fit", whole, model, model)
        assert code == 0, errors
        for place, kind in enumerate(WRITERS):
            folder = Path(temporary, str(place))
            folder.mkdir()
            path, writer = begin(kind, folder)
            try:
                for command in given.commands:
                    target = out.with_name(f"out.{OUTPUTS[command]}")
                    n_runs = given.runs // len(WRITERS)
                    n_runs += place < given.runs % len(WRITERS)
                    for _ in range(n_runs):
                        code, said, errors = run(command, path, model, target)
                        fault = ""
                        if code == 0:
                            fault = find_fault(command, kind, said, target)
                        elif code not in (1, 2) or errors.count("\n") != 1:
                            fault = f"exit code {code}: {errors[-300:]}"
                        if fault:
                            n_faults += 1
                            print(f"{command}, {kind}: {fault}", flush=True)
                        counts[kind, "result" if code == 0 else "error"] += 1
            finally:
                os.kill(writer, signal.SIGKILL)
                os.waitpid(writer, 0)
            n_results, n_errors = counts[kind, "result"], counts[kind, "error"]
            print(f"{kind}: {n_results} results, {n_errors} errors", flush=True)
    print(f"{sum(counts.values())} runs, {n_faults} faults")
    sys.exit(n_faults > 0)


if __name__ == "__main__":
    main()
