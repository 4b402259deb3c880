"""One system of a case, in a process of its own.

The argument is a request as JSON, and the numbers are written to `output.json`, in the
folder that the process runs in.
"""

import importlib
import json
import re
import resource
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks._case import Options, System, list_tasks, load_case


def reset_peak_memory() -> None:
    """Let Linux count the peak anew; elsewhere it is that of the whole process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def read_peak_memory() -> float:
    """MiB that this process, or a child of it that has ended, held at most."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with suppress(OSError):
        status = Path("/proc/self/status").read_text()
        own = int(re.findall(r"VmHWM:\s*(\d+)", status)[0])
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, children) / (2**20 if sys.platform == "darwin" else 2**10)


def read_cpu_seconds() -> float:
    """Of all threads, and of children that have ended: other programs hardly stretch these."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def run_task(case: ModuleType, system: System, task: Any) -> dict[str, Any]:
    """Numbers of the first call and, where it is of interest, of a second one."""
    prefixes = ["", "hot_"] if getattr(case, "HOT", False) else [""]
    numbers = {}
    reset_peak_memory()
    try:
        for prefix in prefixes:
            begin = time.perf_counter()
            cpu_begin = read_cpu_seconds()
            output = system.run(task)
            numbers[f"{prefix}seconds"] = time.perf_counter() - begin
            numbers[f"{prefix}cpu_seconds"] = read_cpu_seconds() - cpu_begin
        numbers["memory"] = read_peak_memory()
        return numbers | case.measure(task, output, numbers)
    except NotImplementedError as error:
        return {"not_applicable": str(error)}
    except Exception as error:  # other libraries raise errors of any type
        print(repr(error), file=sys.stderr)
        return {"failure": describe(error)}


def describe(error: Exception) -> str:
    """The first sentence of an error, without paths of this machine."""
    line = f"{type(error).__name__}: {error}".splitlines()[0]
    text, _, _ = line.partition(". ")
    return re.sub(r"(/[\w.@+-]+){2,}", "(path)", text)[:160]


def main() -> None:
    request = json.loads(sys.argv[1])
    case = load_case(request["case"])
    options = Options(**request["options"])
    if not request["system"]:
        case.setup(options)
        return
    warnings.simplefilter("ignore")  # of others, on their own defaults
    system = case.SYSTEMS[request["system"]]
    for module in system.imports.split():
        importlib.import_module(module)
    tasks = {}
    for name, load in list_tasks(case, options).items():
        if request["task"] in ("", name):
            tasks[name] = run_task(case, system, load())
    Path("output.json").write_text(json.dumps(tasks, default=float))


if __name__ == "__main__":
    main()
