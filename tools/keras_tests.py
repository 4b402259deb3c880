"""Run Keras's own tests with `fit` and tied layers of ours: `keras_tests.py
[FILES...]`.

`keras_door.py` is what stands between. The tests are those of the installed Keras, and
stay where they are. What fails is run once more with the stock `fit`, alone, to tell
Keras's own failures apart. Prints, by file, how many tests passed, failed, and are not
applicable.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from importlib import metadata, util
from pathlib import Path

TOOLS = Path(__file__).parent
SOURCE = TOOLS.parent / "src"
BACKENDS = ("jax", "tensorflow", "torch")
FILES = (
    "trainers/trainer_test.py",
    "callbacks",
    "layers/core/dense_test.py",
    "layers/core/einsum_dense_test.py",
    "layers/core/embedding_test.py",
    "layers/convolutional",
    "models",
    "saving/saving_lib_test.py",
    "quantizers",
    "dtype_policies",
    "trainers/data_adapters",
    "distribution",
    "backend/jax/trainer_test.py",
)

NOT_APPLICABLE = {  # reasons, and patterns of a test's source and error
    "a package is not installed": r"ModuleNotFoundError|NotInstalledError",
}


def find_tests(scratch):
    """The folder `keras/src` with Keras's test files, of the version
    that is installed.
    """
    installed = Path(util.find_spec("keras").submodule_search_locations[0], "src")
    if (installed / FILES[0]).exists():
        return installed
    version = metadata.version("keras")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "keras"]
    subprocess.run([*pip, "--dest", scratch, f"keras=={version}"], check=True)
    archive = next(Path(scratch).glob("keras-*.tar.gz"))
    subprocess.run(["tar", "-xf", archive, "-C", scratch], check=True)
    return Path(scratch, f"keras-{version}", "keras", "src")


def run(tests, backend, door, scratch):
    """The records of each test, and the counts, of one process of pytest."""
    results = Path(scratch, f"{backend}-{door}.jsonl")
    settings = Path(scratch, "pytest.ini")
    settings.write_text("[pytest]\n")
    root = find_tests(scratch).parents[1]
    paths = [str(root), str(SOURCE), str(TOOLS), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "KERAS_DOOR": door,
        "KERAS_DOOR_RESULTS": str(results),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    options = [
        "-c",
        settings,
        "--rootdir",
        scratch,
        "-p",
        "keras_door",
        "-p",
        "no:cacheprovider",
    ]
    options += ["--continue-on-collection-errors", "-q", "--tb=short"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    log_file = Path(scratch, f"{backend}-{door}.log")
    with log_file.open("w") as log:
        subprocess.run(
            command, cwd=scratch, env=environment, stdout=log, stderr=log, check=False
        )
    if not results.exists():
        sys.exit(f"No test has run:\n{log_file.read_text()[-2000:]}")
    records = [json.loads(line) for line in results.read_text().splitlines()]
    counts = sum((Counter(record["counts"]) for record in records), Counter())
    *tested, last = records
    if last["outcome"] != "end":
        print(f"{backend}: the process died after {last['test']}")
        tested = records
    return tested, counts


def judge(records, backend, scratch):
    """The verdict of each test: passed, skipped, failed, stock, or why it is not
    applicable.
    """
    verdicts = {record["test"]: record["outcome"] for record in records}
    failed = {
        record["test"]: record["text"]
        for record in records
        if record["outcome"] == "failed"
    }
    if not failed:
        return verdicts
    stock, _ = run(list(failed), backend, "shut", scratch)
    passes_stock = {record["test"] for record in stock if record["outcome"] == "passed"}
    for test, text in failed.items():
        reasons = [
            reason
            for reason, pattern in NOT_APPLICABLE.items()
            if re.search(pattern, text)
        ]
        if reasons:
            verdicts[test] = reasons[0]
        elif test not in passes_stock:
            verdicts[test] = "stock"
    return verdicts


def show(verdicts, counts, backend):
    columns = ("passed", "failed", "stock", "skipped")
    by_file = defaultdict(Counter)
    for test, verdict in verdicts.items():
        file = test.split("::")[0].split("keras/src/")[-1]
        by_file[file][verdict if verdict in columns else "n/a"] += 1
    print(f"\n{backend:45} passed failed n/a skipped (stock fails, too)")
    for file, counter in by_file.items():
        numbers = [counter[name] for name in ("passed", "failed", "n/a", "skipped")]
        print(
            f"{file:45} {numbers[0]:6} {numbers[1]:6} {numbers[2]:3} {numbers[3]:7} "
            f"({counter['stock']})"
        )
    for test, verdict in verdicts.items():
        if verdict in ("failed", "stock"):
            print(f"  {verdict}: {test.split('keras/src/')[-1]}")
    reasons = Counter(each for each in verdicts.values() if each not in columns)
    for reason, count in sorted((reasons + counts).items()):
        print(f"  {count:5} {reason}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=BACKENDS, action="append")
    parser.add_argument("files", nargs="*", default=FILES, help="below keras/src")
    arguments = parser.parse_args()
    n_failed = 0
    for backend in arguments.backend or BACKENDS:
        with tempfile.TemporaryDirectory() as scratch:
            tests = [str(find_tests(scratch) / file) for file in arguments.files]
            records, counts = run(tests, backend, "open", scratch)
            verdicts = judge(records, backend, scratch)
            show(verdicts, counts, backend)
            n_failed += list(verdicts.values()).count("failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
