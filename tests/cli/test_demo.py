import os
import subprocess
import sys

import numpy as np
import pytest

from keras_tied import datasets

RUN = (sys.executable, "-m", "keras_tied")


def run_process(*arguments, cwd, start=RUN, **environment):
    """Run the command as a user does, with nobody watching a terminal."""
    return subprocess.run(
        [*start, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


def without(*modules):
    """How to start the command as if these modules were not installed."""
    hidden = "".join(f"sys.modules[{module!r}] = None; " for module in modules)
    return (
        sys.executable,
        "-c",
        f"import sys; {hidden}from keras_tied.cli import main; main()",
    )


def assert_one_sentence(text):
    assert text.startswith("keras-tied: ")
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("engine", "ending", "start"),
    [
        pytest.param("keras", "png", b"\x89PNG", marks=pytest.mark.slow),
        ("numpy", "svg", b"<?xml"),
        pytest.param("pytensor", "PDF", b"%PDF", marks=pytest.mark.slow),
    ],
)
def test_demo_writes_the_figure_of_each_engine_in_each_format(
    keras_tied, tmp_path, engine, ending, start
):
    if engine == "pytensor":
        pytest.importorskip("pytensor")
    output = f"donuts.{ending}"
    done = keras_tied("demo", "--engine", engine, "--epochs", 20, "--output", output)
    assert (done.code, done.err) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == [output]
    assert (tmp_path / output).read_bytes().startswith(start)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    X, y = datasets.make_correlated_donuts(300, random_state=0)
    path = tmp_path_factory.mktemp("data") / "donuts.npy"
    np.save(path, np.column_stack([X, y]))
    return path


@pytest.fixture
def quick(small_file):
    """A demo that takes a moment, as far as training goes."""
    return "demo", "--data", small_file, "--engine", "numpy", "--epochs", 5


def test_demo_prints_a_table_with_errors_parameters_tie_and_figure(
    keras_tied, quick, tmp_path
):
    done = keras_tied(*quick)
    for said in (
        "the article's network",
        "PCA",
        "14, against 22 untied",
        "= 0\n",
        "keras-tied-demo.png",
    ):
        assert said in done.out


@pytest.mark.slow
def test_demo_runs_on_the_articles_file(keras_tied, donut_file, tmp_path):
    done = keras_tied("demo", "--data", donut_file, "--engine", "numpy", "--epochs", 5)
    assert done.code == 0


def test_quiet_prints_nothing(keras_tied, quick, tmp_path):
    done = keras_tied(*quick, "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.slow
def test_the_same_seed_draws_the_same_picture(keras_tied, quick, tmp_path):
    keras_tied(*quick, "--seed", 3, "--output", "a.png")
    run_process(*quick, "--seed", 3, "--output", "b.png", cwd=tmp_path)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.slow
def test_show_opens_the_figure_in_a_window_and_saves_it_too(quick, tmp_path):
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "windows.py").write_text(
        "from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas\n"
        "def show(*args, **kwargs): print('a window opens')\n"
    )
    paths = f"{tmp_path / 'backend'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = run_process(
        *quick, "--show", cwd=tmp_path, MPLBACKEND="module://windows", PYTHONPATH=paths
    )
    assert done.returncode == 0
    assert "a window opens" in done.stdout
    assert (tmp_path / "keras-tied-demo.png").exists()


@pytest.mark.slow
def test_backend_is_what_keras_runs_on_whatever_the_environment_says(tmp_path):
    program = (
        "import sys, keras_tied.cli as cli; sys.argv[1:] = ['demo', '--epochs', '1', "
        "'--backend', 'jax', '--quiet']\n"
        "try: cli.main()\n"
        "finally: import keras; print(keras.backend.backend())"
    )
    done = run_process(
        cwd=tmp_path, start=(sys.executable, "-c", program), KERAS_BACKEND="torch"
    )
    assert done.stdout == "jax\n"


HEAVY = {
    "keras",
    "jax",
    "numpy",
    "scipy",
    "sklearn",
    "matplotlib",
    "pyarrow",
    "onnx",
    "bokeh",
}


@pytest.mark.slow
def test_help_gives_an_example_and_imports_nothing_heavy(tmp_path):
    program = (
        "import sys, keras_tied.cli as cli; sys.argv[1:] = ['--help']\n"
        "try: cli.main()\n"
        f"finally: print({HEAVY} & set(sys.modules))"
    )
    done = run_process(cwd=tmp_path, start=(sys.executable, "-c", program))
    assert done.returncode == 0
    assert "Example:  keras-tied fit rows.csv -o model.safetensors" in done.stdout
    assert done.stdout.endswith("set()\n")


def test_version_is_the_packages(keras_tied, tmp_path):
    from keras_tied import __version__

    assert keras_tied("--version").out == f"keras-tied {__version__}\n"


def test_without_a_command_the_help_comes_with_exit_code_2(keras_tied, tmp_path):
    done = keras_tied()
    assert done.code == 2
    assert "Usage: keras-tied" in done.out


def rows(**changes):
    """Twelve rows of the article's kind with one thing changed."""
    X, y = datasets.make_correlated_donuts(12, random_state=0)
    table = np.column_stack([X, y])
    for column, value in changes.items():
        table[3, int(column.removeprefix("column"))] = value
    return table


BAD_FILES = {
    "text": np.char.mod("%.3f", rows()),
    "text column": np.array(
        [(1.0, 2.0, 3.0, 4.0, "a")] * 9,
        dtype=[*((f"x{i}", float) for i in range(4)), ("y", "U1")],
    ),
    "pickled objects": rows().astype(object),
    "NaN": rows(column1=np.nan),
    "infinite": rows(column2=-np.inf),
    "no label": rows(column4=0.5),
    "0 rows": rows()[:0],
    "2 rows": rows()[:2],
    "3 columns": rows()[:, :3],
    "6 columns": np.column_stack([rows(), rows()[:, 0]]),
    "1 axis": rows()[0],
    "3 axes": rows()[None],
    "complex": rows().astype(complex),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_bad_data_file_is_one_sentence_and_exit_code_2(
    keras_tied, monkeypatch, tmp_path, what
):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "in" / "rows.npy", BAD_FILES[what], allow_pickle=True)
    monkeypatch.chdir(tmp_path / "out")
    done = keras_tied("demo", "--data", "../in/rows.npy")
    assert done.code == 2
    assert_one_sentence(done.err)
    assert done.out == ""
    assert not any((tmp_path / "out").iterdir())


WRONG_USES = {
    "missing file": (["--data", "none.npy"], "none.npy"),
    "folder as data": (["--data", "."], "Is a directory"),
    "not an .npy file": (["--data", __file__], "not a whole .npy file"),
    "missing folder": (["--output", "none/donuts.png"], "folder that does not exist"),
    "file as folder": (
        ["--output", f"{__file__}/donuts.png"],
        "folder that does not exist",
    ),
    "format": (["--output", "donuts.jpg"], ".png, .svg, .pdf"),
    "no format": (["--output", "donuts"], ".png, .svg, .pdf"),
    "long name": (["--output", f"{'a' * 300}.png"], "File name too long"),
    "no epochs": (["--epochs", "0"], "--epochs"),
    "epochs in words": (["--epochs", "many"], "--epochs"),
    "negative seed": (["--seed", "-1"], "Seed"),
    "unknown backend": (["--backend", "abacus"], "abacus"),
    "unknown engine": (["--engine", "steam"], "steam"),
    "a backend for NumPy": (
        ["--engine", "numpy", "--backend", "jax"],
        "leave one of them out",
    ),
    "unknown option": (["--sede", "1"], "--sede"),
    "an argument too many": (["donuts.npy"], "donuts.npy"),
    "no display": (["--show"], "opens no window"),
}


@pytest.mark.parametrize("what", WRONG_USES)
def test_wrong_use_is_one_sentence_that_says_what_and_exit_code_2(
    keras_tied, tmp_path, what
):
    arguments, said = WRONG_USES[what]
    done = keras_tied("demo", *arguments)
    assert done.code == 2
    assert_one_sentence(done.err)
    assert said in done.err
    assert done.out == ""
    assert not any(tmp_path.iterdir())


def test_a_folder_as_output_is_wrong_use(keras_tied, tmp_path):
    (tmp_path / "folder.png").mkdir()
    done = keras_tied("demo", "--output", "folder.png")
    assert done.code == 2
    assert_one_sentence(done.err)


def test_a_folder_that_may_not_be_written_to_is_wrong_use(keras_tied, tmp_path):
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user may write anywhere")
    done = keras_tied("demo")
    assert done.code == 2
    assert_one_sentence(done.err)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["abacus", "numpy"])
def test_a_backend_in_the_environment_that_we_do_not_know_is_wrong_use(
    tmp_path, backend
):
    done = run_process("demo", cwd=tmp_path, KERAS_BACKEND=backend)
    assert done.returncode == 2
    assert_one_sentence(done.stderr)
    assert repr(backend) in done.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "arguments", "said"),
    [
        ("torch", ["--backend", "torch"], "torch is not installed"),
        ("tensorflow", ["--backend", "tensorflow"], "tensorflow is not installed"),
        ("pytensor", ["--engine", "pytensor"], "keras-tied[pytensor]"),
        ("matplotlib", [], "keras-tied[plot]"),
    ],
)
def test_what_is_not_installed_is_wrong_use(tmp_path, missing, arguments, said):
    done = run_process("demo", *arguments, cwd=tmp_path, start=without(missing))
    assert done.returncode == 2
    assert_one_sentence(done.stderr)
    assert said in done.stderr
    assert not any(tmp_path.iterdir())


def test_without_typer_one_sentence_says_what_to_install(tmp_path):
    done = run_process("demo", cwd=tmp_path, start=without("typer"))
    assert done.returncode == 1
    assert_one_sentence(done.stderr)
    assert "keras-tied[cli]" in done.stderr


def test_debug_shows_the_traceback_before_the_sentence(keras_tied, tmp_path):
    done = keras_tied("demo", "--data", "none.npy", "--debug")
    assert done.code == 2
    assert "Traceback" in done.err
    assert_one_sentence(done.err.splitlines(keepends=True)[-1])


@pytest.mark.slow
def test_a_file_name_beyond_the_terminals_encoding_is_printed_escaped(quick, tmp_path):
    done = run_process(
        *quick, "--output", "Δ.png", cwd=tmp_path, PYTHONIOENCODING="ascii"
    )
    assert done.returncode == 0
    assert r"\u0394.png" in done.stdout
    assert (tmp_path / "Δ.png").exists()


@pytest.mark.slow
def test_a_full_disk_is_exit_code_1_and_leaves_the_old_figure_alone(quick, tmp_path):
    figure = tmp_path / "donuts.png"
    figure.write_text("the old figure")
    # To the command, a limit on the size of a file is what the end of a disk is.
    start = ("sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *RUN)
    done = run_process(*quick, "--output", figure.name, cwd=tmp_path, start=start)
    assert done.returncode == 1
    assert_one_sentence(
        done.stderr.splitlines(keepends=True)[-1]
    )  # a slow machine says more
    assert figure.read_text() == "the old figure"
    assert [path.name for path in tmp_path.iterdir()] == [figure.name]


@pytest.mark.slow
def test_ctrl_c_stops_with_one_sentence_and_leaves_nothing(
    interrupted, small_file, tmp_path
):
    options = ["--engine", "numpy", "--epochs", 10**8]
    done = interrupted("demo", "--data", small_file, *options, after=b"loss")
    assert done.code == 130
    assert "Traceback" not in done.err
    assert not any(tmp_path.iterdir())
