"""What it costs to import modules: median seconds, and how many modules they load.

    python tools/imports.py [-n RUNS] MODULE...

Each import runs in a process of its own, the modules in turn. The last column names the
finders that it leaves in `sys.meta_path`: those of six and absl come with Keras.
"""

import argparse
import json
import statistics
import subprocess
import sys
from typing import Any

PROGRAM = """
import importlib, json, sys, time
finders, loaded = list(sys.meta_path), len(sys.modules)
begin = time.perf_counter()
importlib.import_module(sys.argv[1])
seconds = time.perf_counter() - begin
added = [type(each).__module__ for each in sys.meta_path if each not in finders]
print(json.dumps([seconds, len(sys.modules) - loaded, added]))
"""


def measure(module: str) -> Any:
    command = [sys.executable, "-c", PROGRAM, module]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="+", metavar="MODULE")
    parser.add_argument("-n", "--runs", type=int, default=5)
    options = parser.parse_args()
    runs = {module: [] for module in options.modules}
    for _ in range(options.runs):
        for module in options.modules:
            runs[module].append(measure(module))
    print("module           seconds  modules  finders")
    for module, results in runs.items():
        seconds, counts, finders = zip(*results, strict=True)
        names = ", ".join(finders[0]) or "none"
        middle = statistics.median(seconds)
        print(f"{module:16} {middle:7.2f}  {max(counts):7}  {names}")


if __name__ == "__main__":
    main()
