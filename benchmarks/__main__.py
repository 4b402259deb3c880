"""`python -m benchmarks`: run the cases, write their results, make the page.

Each system of a case runs in a process of its own, in turn with the others. Results are
printed and written as JSON to `benchmarks/results`, those of `--quick` only where
`--results` names a folder.
"""

import argparse
import json
import os
from pathlib import Path

from benchmarks._case import CASES, Options
from benchmarks._page import PAGE, write_page
from benchmarks._results import Result, format_table
from benchmarks._run import RESULTS, run_case


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add(
        "case",
        nargs="*",
        metavar="CASE",
        help=f"of {', '.join(CASES)}",
    )
    add("--quick", action="store_true", help="few tasks and one turn: minutes")
    data = os.environ.get("KERAS_TIED_DATA", Options.data)
    add("--data", default=data, help="a folder of data; default: KERAS_TIED_DATA")
    add("--repeats", type=int, help="turns; default: 5, or 1 with --quick")
    add("--system", action="append", help="only this one; several times")
    add("--results", type=Path, help="the folder of results")
    add("--page", action="store_true", help="make docs/benchmarks.md of the results")
    given = parser.parse_args()
    if not set(given.case) <= set(CASES):
        parser.error(f"no such case; the cases are {', '.join(CASES)}")
    if given.page:
        write_page(given.results or RESULTS, PAGE)
        return
    options = Options(given.quick, str(Path(given.data).resolve()))
    repeats = given.repeats or (1 if given.quick else 5)
    folder = given.results or (None if given.quick else RESULTS)
    for name in given.case or CASES:
        for result in run_case(name, options, repeats, given.system):
            if folder:
                folder.mkdir(parents=True, exist_ok=True)
                text = json.dumps(result, indent=1) + "\n"
                (folder / f"{name}.json").write_text(text)
        print(format_table(Result(result)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
