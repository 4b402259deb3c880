"""The programs of `tools/fuzz` find nothing, each in its shortest run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.marks import slow
from tests.processes import run_python

FUZZ = Path(__file__).parents[2] / "tools" / "fuzz"
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")

needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or not COMPILER, reason="needs Linux and a C compiler"
)
pytestmark = slow


def run(program, *arguments, **environment):
    """Run a program to its end; return its lines."""
    done = run_python(
        FUZZ / program,
        *arguments,
        environment=environment,
        timeout=None,
    )
    return done.stdout.splitlines()


def test_mutants_of_tables_and_models_are_refused_or_give_what_they_promise():
    run("campaign.py", "tables", "safetensors", "--count", 50)


@needs_compiler
def test_a_failure_at_any_call_leaves_the_old_file_or_the_new_one(tmp_path):
    shim = tmp_path / "failing_io.so"
    source = FUZZ / "failing_io.c"
    command = [COMPILER, "-shared", "-fPIC", "-o", shim, source, "-ldl"]
    subprocess.run(command, check=True)
    lines = run("failing_io.py", LD_PRELOAD=str(shim))
    assert "done" in lines[-1]


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_a_call_that_fails_is_told_and_leaves_no_part_file():
    assert run("random_faults.py", "--runs", 5)[-1].startswith("done 5")
