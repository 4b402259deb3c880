"""One system of a case, in a process of its own: its numbers as JSON, in the file that is named."""

import argparse
import importlib.util
import json
import os
import re
import resource
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks._case import Options, load_case


def reset_peak_memory() -> None:
    """Let Linux count the peak anew; elsewhere it is that of the whole process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def read_peak_memory() -> float:
    """MiB that this process, or a child of it that has ended, held at most."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        own = int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, children) / (2**20 if sys.platform == "darwin" else 2**10)


def read_cpu_seconds() -> float:
    """Of all threads, and of children that have ended: other programs hardly stretch these."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def run_task(case: Any, call: Any, load: Any, hot: bool) -> dict[str, Any]:
    task, seconds = load(), {}
    reset_peak_memory()
    try:
        for prefix in ("", "hot_")[: 1 + hot]:
            begin, of_cpu = time.perf_counter(), read_cpu_seconds()
            output = call(task)
            seconds[f"{prefix}seconds"] = time.perf_counter() - begin
            seconds[f"{prefix}cpu_seconds"] = read_cpu_seconds() - of_cpu
        memory = read_peak_memory()
        return {**seconds, "memory": memory, **case.measure(task, output, seconds)}
    except NotImplementedError as error:
        return {"not_applicable": str(error)}
    except Exception as error:  # other libraries raise errors of any type
        print(repr(error), file=sys.stderr)
        return {"failure": describe(error)}


def describe(error: Exception) -> str:
    """The first line of an error, without paths of this machine."""
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    return re.sub(r"(/[\w.@+-]+){2,}", "(path)", text)[:160]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("case", "system", "task", "output"):
        parser.add_argument(name)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.system != "setup":
        warnings.simplefilter("ignore")  # of others, on their own defaults
    case = load_case(given.case)
    options = Options(given.quick, given.data, given.seed, given.folder)
    if given.system == "setup":
        case.setup(options)
        return
    system = case.SYSTEMS[given.system]
    os.chdir(given.folder)  # some libraries write logs where they run
    begin = time.perf_counter()
    call = system.make()
    result: dict[str, Any] = {"imports": time.perf_counter() - begin, "tasks": {}}
    hot = system.hot and getattr(case, "HOT", True)
    for name, load in case.prepare(options).items():
        if given.task in ("", name):
            result["tasks"][name] = run_task(case, call, load, hot)
    Path(given.output).write_text(json.dumps(result))


def is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


if __name__ == "__main__":
    main()
