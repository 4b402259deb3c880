"""``keras-tied demo``, each run in a process of its own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.marks import for_each, slow
from tests.processes import run_python

from keras_tied.article.command import main

SIGNATURES = {"png": b"\x89PNG", "svg": b"<?xml", "PDF": b"%PDF"}
COMMAND = ("-m", "keras_tied", "demo")
EPOCHS = ("--epochs", "5")


def test_the_demo_prints_errors_parameters_and_the_tie_and_draws(folder):
    done = run_python(*COMMAND, *EPOCHS, "--engine", "numpy")
    words = " ".join(done.stdout.split())
    for text in (
        "the article's network",
        "PCA, same components",
        "engine numpy epochs 5, in",
        "parameters 14, against 22 untied",
        "figure keras-tied-demo.png",
    ):
        assert text in words
    assert "with gains" not in words
    assert Path("keras-tied-demo.png").read_bytes().startswith(SIGNATURES["png"])
    assert [path.name for path in Path().iterdir()] == ["keras-tied-demo.png"]


@slow
@pytest.mark.parametrize(("engine", "ending"), [("keras", "svg"), ("pytensor", "PDF")])
def test_the_demo_draws_what_each_engine_has_trained(folder, engine, ending):
    if engine == "pytensor":
        pytest.importorskip("pytensor")
    output = f"donuts.{ending}"
    done = run_python(*COMMAND, *EPOCHS, "--engine", engine, "-o", output)
    assert ("with gains" in done.stdout) == (engine == "keras")
    assert engine in done.stdout
    assert Path(output).read_bytes().startswith(SIGNATURES[ending])


MISTAKES = {
    "another ending": (
        ["--engine", "numpy", "-o", "donuts.txt"],
        "Format 'txt' is not supported",
    ),
    "no such folder": (
        ["--engine", "numpy", "-o", "none/donuts.png"],
        "No such file or directory: 'none'",
    ),
    "no epochs": (["--epochs", "0"], "'0' is not a positive integer"),
    "no such engine": (["--engine", "steam"], "invalid choice: 'steam'"),
}


@for_each(MISTAKES, "arguments", "message")
def test_a_mistake_is_one_sentence_and_leaves_no_file(
    arguments, message, folder, capsys
):
    with pytest.raises(SystemExit) as ended:
        main(["demo", *arguments])
    assert message in capsys.readouterr().err + str(ended.value)
    assert not list(Path().iterdir())


@slow
@pytest.mark.parametrize("output", [(), ("-o", "donuts.png")])
def test_without_matplotlib_the_demo_names_the_extra(folder, output):
    hide = "import sys; sys.modules['matplotlib'] = None; "
    run = "from keras_tied.article.command import main; main(sys.argv[1:])"
    arguments = "demo", *EPOCHS, "--engine", "numpy", *output
    done = run_python("-c", hide + run, *arguments, code=len(output) // 2)
    text = done.stderr if output else done.stdout
    assert 'pip install "keras-tied[plot]"' in text


@slow
def test_ctrl_c_ends_the_demo_with_the_code_of_a_shell(folder, default_sigint):
    program = (
        "from keras_tied.article.command import main; print('imported', flush=True);"
        " main()"
    )
    arguments = "demo", "--engine", "numpy", "--epochs", "100000000"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline().strip() == b"imported"  # however long it takes
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert not list(Path().iterdir())
