"""Read many mutants of all kinds, and count what came of them.

    python tools/fuzz/campaign.py tables --count 100000 --first 0
    python tools/fuzz/campaign.py models --count 100000
    python tools/fuzz/campaign.py csv safetensors --count 2000

The count is shared among the formats of tables; models are so many of each kind. Prints
a line for each kind, with how many were refused, the growth of memory over that of
reading a sound file, in MiB, and the seeds of those that ended otherwise: with a crash,
no end, too much memory, another exception, something run, written or imported, or
another content than was promised. A seed that fails is read again by itself: a machine
that stood still is no finding.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

FORMATS = "csv csv.gz parquet arrow feather npy npz jsonl json orc sqlite xlsx".split()
MODELS = ["safetensors"]
MUTANTS = Path(__file__).with_name("mutants.py")
PIECE = 2000  # mutants of a process


def read_mutants(kind: str, first: int, count: int) -> tuple[list[str], str]:
    """The lines that a process prints, and the last line of its errors if it fails."""
    command = [sys.executable, str(MUTANTS), kind, str(first), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout.splitlines(), ""
    errors = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return done.stdout.splitlines(), next(
        (e for e in errors if "Timeout" in e), errors[-1]
    )


def run(kind: str, first: int, count: int) -> bool:
    begin, seed, end = time.perf_counter(), first, first + count
    n_refused, growth, failures, n_unsure = 0, 0, list[str](), 0
    while seed < end:
        n = min(PIECE, end - seed)
        lines, error = read_mutants(kind, seed, n)
        if error:
            # Those before it are read again, for how many of them are refused.
            failed = int(lines[-1]) if lines else seed
            _, again = read_mutants(kind, failed, 1)
            if again:
                failures.append(f"{failed} ({error})")
                print(f"{kind} {failures[-1]}", file=sys.stderr, flush=True)
            n_unsure += not again
            n = failed - seed
            lines = read_mutants(kind, seed, n)[0] if n else ["done 0 0"]
            n += 1
        _, refused, used = lines[-1].split()
        n_refused, growth, seed = (
            n_refused + int(refused),
            max(growth, int(used)),
            seed + n,
        )
    print(
        f"{kind}: {count} mutants from seed {first}, {n_refused} refused, {growth} MiB"
        f" more, {len(failures)} failures, {n_unsure} that did not fail again,"
        f" {time.perf_counter() - begin:.0f} s",
        flush=True,
    )
    return not failures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "kinds", nargs="+", choices=["tables", "models", *FORMATS, *MODELS]
    )
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    counts = dict[str, int]()
    for kind in given.kinds:
        match kind:
            case "tables":
                counts |= dict.fromkeys(FORMATS, -(-given.count // len(FORMATS)))
            case "models":
                counts |= dict.fromkeys(MODELS, given.count)
            case _:
                counts[kind] = given.count
    whole = [run(kind, given.first, count) for kind, count in counts.items()]
    sys.exit(not all(whole))


if __name__ == "__main__":
    main()
