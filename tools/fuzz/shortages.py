"""Run commands where the disk is full, the quota used up, the folder read-only, or
memory short.

    python tools/fuzz/shortages.py fit encode score report

prints the last line that each command writes to the standard error. It ends with an
exit code that is not 0 and without a traceback; the output that was there stays, and
nothing is left beside it. Calls fail by a shim, which needs a C compiler; `--mounted`
takes a small and a read-only file system of memory, too, which needs root; `--memory`
limits addresses to several amounts instead.
"""

import argparse
import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from kills import COMMANDS, OLD, save_rows

# What fails: the error, and the calls by which it comes, with letters of the shim.
CALLS = {
    "full disk": (errno.ENOSPC, "w"),
    "full disk, told late": (errno.ENOSPC, "s"),
    "quota": (errno.EDQUOT, "w"),
    "read-only": (errno.EROFS, "or"),
}
MOUNTS = {"full disk, mounted": "size=16k", "read-only, mounted": "size=16k,ro"}
MEBIBYTES = (150, 300, 450, 600, 800, 1000, 1300)


def build_shim(folder: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    assert compiler, "there is no C compiler"
    shim, source = folder / "failing_io.so", Path(__file__).with_name("failing_io.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True
    )
    return shim


def run(
    name: str, folder: Path, condition: str, mebibytes: int = 0, **environment: str
) -> str:
    """Run a command, check how it ends, and return what it says."""
    out = folder / COMMANDS[name][COMMANDS[name].index("-o") + 1]
    is_writable = "mounted" not in condition
    if is_writable:
        out.write_bytes(OLD)
    most = mebibytes * 2**20
    limit = (
        partial(resource.setrlimit, resource.RLIMIT_AS, (most, most)) if most else None
    )
    done = subprocess.run(
        [sys.executable, "-m", "tied_tables", *COMMANDS[name]],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "tmp"), **environment},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )
    lines = done.stderr.splitlines() or [""]
    if most and done.returncode == 0:
        out.unlink()
        return "enough"
    place = f"{name}, {condition}: {done.returncode} {done.stderr[-2000:]}"
    # Libraries may end a process that has too few addresses for their threads.
    assert 0 < done.returncode < 128 or most, place
    assert "Traceback" not in done.stderr, place
    assert [each.name for each in out.parent.iterdir()] == [out.name] * is_writable, (
        place
    )
    assert not is_writable or out.read_bytes() == OLD, place
    if is_writable:
        out.unlink()
    sentence = next((line for line in reversed(lines) if line.endswith(".")), lines[-1])
    return f"{sentence} (exit code {done.returncode})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("commands", nargs="*", default=[*COMMANDS], metavar="COMMAND")
    parser.add_argument("--mounted", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--rows", type=int, default=20_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        out = folder / "out"
        for each in (out, folder / "tmp"):
            each.mkdir()
        save_rows(folder / "rows.parquet", given.rows)
        fit = [sys.executable, "-m", "tied_tables", *COMMANDS["fit"], "--quiet"]
        subprocess.run(fit, cwd=folder, check=True)
        (out / "new.safetensors").rename(folder / "model.safetensors")
        shim = build_shim(folder)
        for name in given.commands:
            for condition, (number, letters) in (
                CALLS.items() if not given.memory else ()
            ):
                failing = {
                    "LD_PRELOAD": str(shim),
                    "FAILING_IO": f"{number}:{letters}:{out}",
                }
                print(
                    f"{name}, {condition}: {run(name, folder, condition, **failing)}",
                    flush=True,
                )
            for condition, options in MOUNTS.items() if given.mounted else ():
                mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(out)]
                subprocess.run(mount, check=True)
                try:
                    print(
                        f"{name}, {condition}: {run(name, folder, condition)}",
                        flush=True,
                    )
                finally:
                    subprocess.run(["umount", str(out)], check=True)
            for most in MEBIBYTES if given.memory else ():
                condition = f"{most} MiB"
                print(
                    f"{name}, {condition}: {run(name, folder, condition, most)}",
                    flush=True,
                )
    print("done")


if __name__ == "__main__":
    main()
