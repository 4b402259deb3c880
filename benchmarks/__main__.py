"""`python -m benchmarks`: run the cases, write their results, make the page.

Each system of a case runs in a process of its own, in turn with the others. Results are
printed and written as JSON to `benchmarks/results`, those of `--quick` only where
`--results` names a folder.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from benchmarks._case import list_cases, load_case
from benchmarks._page import PAGE, write_page
from benchmarks._results import Result, format_table
from benchmarks._run import RESULTS, run_case


def main() -> None:
    names = list_cases()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "case", nargs="*", metavar="CASE", help=f"of {', '.join(names)}"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few rows and one turn: minutes"
    )
    parser.add_argument("--peers", choices=["installed", "all"], default="installed")
    parser.add_argument(
        "--data", type=Path, help="a folder of data; default: KERAS_TIED_DATA"
    )
    parser.add_argument(
        "--repeats", type=int, help="turns; default: 5, or 1 with --quick"
    )
    parser.add_argument(
        "--system", action="append", default=[], help="only this one; several times"
    )
    parser.add_argument("--results", type=Path, help="the folder of results")
    parser.add_argument(
        "--page", action="store_true", help="make docs/benchmarks.md of the results"
    )
    given = parser.parse_args()
    if unknown := set(given.case) - set(names):
        parser.error(
            f"no such case: {', '.join(sorted(unknown))}; one of {', '.join(names)}"
        )
    if given.page:
        write_page(given.results or RESULTS, PAGE)
        return
    data = given.data or (
        Path(os.environ["KERAS_TIED_DATA"]) if "KERAS_TIED_DATA" in os.environ else None
    )
    folder = given.results or (None if given.quick else RESULTS)
    begin = time.perf_counter()
    for name in given.case or [
        n for n in names if not getattr(load_case(n), "LONG", False)
    ]:
        for result in run_case(
            name,
            quick=given.quick,
            data=data,
            repeats=given.repeats or (1 if given.quick else 5),
            peers=given.peers,
            systems=given.system,
        ):
            if folder:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{name}.json").write_text(
                    json.dumps(result, indent=1) + "\n"
                )
        print(format_table(Result(result)), end="\n\n", flush=True)
    print(f"{time.perf_counter() - begin:.0f} seconds", file=sys.stderr)


if __name__ == "__main__":
    main()
