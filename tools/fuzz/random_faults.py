"""Run commands while a system call fails, drawn at random; needs strace, on Linux.

    python tools/fuzz/random_faults.py --runs 300 --seed 0

A command is `fit`, `encode` to Parquet, or `encode` by workers of Dask. `strace` lets
one call of one kind fail in it, with ENOSPC, EIO, ENOMEM or EMFILE, at a place drawn
from those that an undisturbed run comes to. After an exit code of 0 the output is that
of the undisturbed run; after another one it is that, the one before it, or none. No
part file is left, neither beside the output nor in TMPDIR: where a library has ended
the process, or a minute has, the next run deletes it. The last line counts what was
found.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
from kills import OLD, is_unmeasured, read_output, save_rows

ERRORS = "ENOSPC", "EIO", "ENOMEM", "EMFILE"
CALLS = "openat read pread64 write pwrite64 fsync rename link unlink mmap close".split()
ENCODE = "encode model.safetensors rows.parquet -q -o out/"
FIT = "fit rows.parquet -q -o out/new.safetensors --epochs 30"
COMMANDS = {
    "fit": ("-m tied_tables " + FIT, "new.safetensors"),
    "encode": ("-m tied_tables " + ENCODE + "codes.parquet", "codes.parquet"),
    "workers": (
        "-m tied_tables " + ENCODE + "codes --cluster local --workers 1",
        "codes",
    ),
}


def run(name: str, folder: Path, *strace: str) -> subprocess.CompletedProcess[str]:
    line = COMMANDS[name][0].split()
    # One that hangs ends by a signal, as `timeout` has no other way.
    limit = ["timeout", "--signal", "KILL", "60"]
    return subprocess.run(
        [*limit, *strace, sys.executable, *line],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "tmp")},
        capture_output=True,
        text=True,
    )


def read(path: Path):
    """What an output holds; of a folder of parts, all rows and its files."""
    if not path.exists():
        return None
    if not path.is_dir():
        return read_output(path)
    files = {each.name for each in path.iterdir() if not each.name.startswith(".")}
    parts = sorted(name for name in files if name.endswith(".parquet"))
    return files, [pq.read_table(path / part) for part in parts]


def list_parts(folder: Path) -> list[str]:
    found = [*folder.glob("out/**/.*"), *(folder / "tmp").glob("tied-tables*")]
    return [str(path.relative_to(folder)) for path in found]


def clear(folder: Path) -> None:
    for place in ("out", "tmp"):
        subprocess.run(["rm", "-rf", folder / place], check=True)
        (folder / place).mkdir()


def count_calls(name: str, folder: Path) -> Counter[str]:
    """How often an undisturbed run makes each call in the process that makes most."""
    clear(folder)
    log = folder / "log"
    trace = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={','.join(CALLS)}"]
    assert run(name, folder, *trace).returncode == 0
    counts: dict[str, Counter[str]] = {call: Counter() for call in CALLS}
    for process, call in re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.MULTILINE):
        counts[call][process] += 1
    return Counter({call: max(n.values(), default=0) for call, n in counts.items()})


def judge(
    name: str, folder: Path, old: bytes | None, whole, done
) -> tuple[str, list[str]]:
    """What a run has left of its output, and which part files."""
    found, left = read(folder / "out" / COMMANDS[name][1]), list_parts(folder)
    if found == whole:
        return ("whole" if done.returncode == 0 else "failed"), left
    if done.returncode == 0:
        return "silent", left
    if name == "workers" or found in (old, None) or is_unmeasured(found, whole):
        return "failed", left
    return "torn", left


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance, totals = random.Random(given.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        clear(folder)
        save_rows(folder / "rows.parquet", 3000)
        assert run("fit", folder).returncode == 0
        (folder / "out/new.safetensors").rename(folder / "model.safetensors")
        calls, wholes = {}, {}
        for name in COMMANDS:
            calls[name] = count_calls(name, folder)
            wholes[name] = read(folder / "out" / COMMANDS[name][1])
        for number in range(given.runs):
            name = chance.choice([*COMMANDS])
            call = chance.choice([call for call in CALLS if calls[name][call]])
            # The last calls write the output; the first ones load Python.
            last = calls[name][call]
            place = last - int(last * chance.random() ** 3)
            fault = f"inject={call}:error={chance.choice(ERRORS)}:when={place}"
            clear(folder)
            old = OLD if name != "workers" and chance.random() < 0.5 else None
            if old:
                (folder / "out" / COMMANDS[name][1]).write_bytes(old)
            trace = ["strace", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf"]
            done = run(name, folder, *trace, "-e", f"trace={call}", "-e", fault)
            result, left = judge(name, folder, old, wholes[name], done)
            totals[result] += 1
            if done.returncode < 0 or done.returncode > 128:
                totals["ended by a signal"] += 1
                if left:
                    totals["left by a signal, deleted by the next run"] += 1
                    assert run(name, folder).returncode == 0
                    left = list_parts(folder)
            totals["left over"] += bool(left)
            if left or result not in ("whole", "failed"):
                print(number, name, fault, done.returncode, result, left, flush=True)
            if number % 20 == 19:
                print(number + 1, dict(totals), flush=True)
    print("done", given.runs, dict(totals))
    assert not totals["silent"] + totals["torn"] + totals["left over"]


if __name__ == "__main__":
    main()
