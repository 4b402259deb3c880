"""The command ``keras-tied``: arguments in, messages out.

What a command needs is imported when it runs, so that ``--help`` is there at once. Exit codes: 0,
1 where something failed, 2 where the command was used wrongly, 130 after Ctrl-C.
"""

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from keras_tied import _backend
from keras_tied._version import __version__
from keras_tied._writing import moved_into_place, writable

try:
    import typer
except ImportError as error:
    raise SystemExit(
        'keras-tied: the command needs Typer and Rich; run pip install "keras-tied[cli]".'
    ) from error

if TYPE_CHECKING:
    from keras_tied.experiment import Experiment

# All that Typer raises for a bad command line; not every version has a public name for it.
_ParserError = cast("type[Exception]", typer.BadParameter.__mro__[1])

app = typer.Typer(
    help="Autoencoders whose decoder is their encoder, transposed.",
    epilog="Example:  keras-tied demo --output donuts.png",
    pretty_exceptions_enable=False,
)


class Backend(StrEnum):
    """What Keras can run on."""

    jax = "jax"
    tensorflow = "tensorflow"
    torch = "torch"


class Engine(StrEnum):
    """What can train the article's autoencoder."""

    keras = "keras"
    numpy = "numpy"
    pytensor = "pytensor"


class UsageError(Exception):
    """The command cannot do what it was asked; the message is one sentence for the user."""


def main() -> None:
    """Run the command line and exit; the entry point of ``keras-tied``."""
    if isinstance(sys.stdout, TextIOWrapper):
        # File names may hold what the terminal's encoding does not.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = app(prog_name="keras-tied", standalone_mode=False)
    except _ParserError as error:
        _say(f"{_message(error)}; see keras-tied --help.")
        code = 2
    sys.exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"keras-tied {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


@app.command(epilog="Example:  keras-tied demo --data donut_corr2.npy --seed 1 --output donuts.svg")
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The figure to write: .png, .svg or .pdf.")
    ] = Path("keras-tied-demo.png"),
    show: Annotated[bool, typer.Option("--show", help="Open the figure in a window too.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            help="An .npy file of 4 columns, or 5 with a label, instead of rows drawn by --seed."
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Steps of training, on all rows each.")] = 3000,
    seed: Annotated[
        int, typer.Option(help="Fixes the rows, their order and the start of the training.")
    ] = 0,
    backend: Annotated[
        Backend | None,
        typer.Option(help="What Keras runs on, instead of KERAS_BACKEND or what is installed."),
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="Keras, or the same network written out by hand.")
    ] = Engine.keras,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
) -> None:
    """Train the article's 4-2-4 autoencoder on two correlated rings, and draw it."""
    with _reported(debug):
        with _wrong_use():
            target = _figure_target(output)
            _require_engine(engine, backend)
            from keras_tied import datasets, experiment, plotting

            figure = plotting.new_window() if show else plotting.new_figure()
            raw = (
                datasets.load_donuts(data)
                if data
                else datasets.make_correlated_donuts(random_state=seed)
            )
            rows, labels = datasets.prepare(*raw, random_state=seed)
            experiment.split(rows)  # refuses too few rows
        if engine is Engine.keras:
            _import_keras()
        with _progress(epochs, quiet) as on_epoch:
            result = experiment.run(
                rows, epochs=epochs, engine=engine.value, random_state=seed, on_epoch=on_epoch
            )
        plotting.four_panels(
            rows,
            result.code,
            result.reconstruction,
            result.history,
            y=labels,
            pca_mse=result.pca_train_mse,
            figure=figure,
        )
        with moved_into_place(target) as part:
            figure.savefig(part, dpi=160)
        if not quiet:
            _print_result(result, engine, output)
        if show:
            from matplotlib import pyplot

            pyplot.show()


def _message(error: Any) -> str:
    """What Typer says of a bad command line, without its full stop."""
    return str(error.format_message()).rstrip(".")


def _say(message: str) -> None:
    """Print one line for the user, who may be reading a pipe's other end."""
    print("keras-tied:", " ".join(message.split()), file=sys.stderr)


@contextmanager
def _reported(debug: bool) -> Iterator[None]:
    """Turn what goes wrong into one sentence and an exit code."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        match error:
            case KeyboardInterrupt():
                message, code = "interrupted.", 130
            case UsageError():
                message, code = str(error), 2
            case _:
                reason = f"{type(error).__name__}: {error}".rstrip(".: ")
                message, code = f"failed with {reason}; --debug shows where.", 1
        _say(message)
        raise typer.Exit(code) from error


@contextmanager
def _wrong_use() -> Iterator[None]:
    """Take what the library refuses, before any work is done, for wrong use of the command."""
    try:
        yield
    except OSError as error:
        reason = f"{error.filename!r}: {error.strerror}" if error.strerror else str(error)
        raise UsageError(f"cannot use {reason}; name another file.") from error
    except (ImportError, RuntimeError, ValueError) as error:
        raise UsageError(str(error)) from error


def _figure_target(output: Path) -> Path:
    """Where the figure will be written, if it can be."""
    from keras_tied.plotting import FORMATS

    return writable(output, FORMATS, "--output")


def _require_engine(engine: Engine, backend: Backend | None) -> None:
    """Settle what trains, before Keras is imported and fails without it."""
    if engine is not Engine.keras:
        if backend:
            raise UsageError(
                f"--backend {backend} is for Keras, and --engine {engine} does without it; leave "
                "one of them out."
            )
        if not _backend.installed(engine):
            raise UsageError(
                f"--engine {engine} is not installed; "
                f'run pip install "keras-tied[{engine}]", or choose another engine.'
            )
        return
    name = backend or os.environ.get("KERAS_BACKEND", "")
    known = ", ".join(_backend.BACKENDS)
    if name not in _backend.BACKENDS:
        given = f"Keras is set to run on {name!r}" if name else "no Keras backend is installed"
        raise UsageError(f"{given}; install one of {known}, and name it with --backend.")
    if not _backend.installed(name):
        raise UsageError(f"{name} is not installed; install it, or name another of {known}.")
    os.environ["KERAS_BACKEND"] = name


def _import_keras() -> None:
    """Import Keras without TensorFlow's remarks on this machine, unless the import fails.

    They bypass Python and come whatever TF_CPP_MIN_LOG_LEVEL says, so the file descriptor itself
    is turned away meanwhile.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as remarks:
        os.dup2(remarks.fileno(), 2)
        try:
            import keras  # noqa: F401
        except BaseException:
            remarks.seek(0)
            os.write(terminal, remarks.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


@contextmanager
def _progress(
    epochs: int, quiet: bool
) -> Iterator[Callable[[int, Mapping[str, float]], None] | None]:
    """A bar on the terminal, and the callback that moves it; None where nobody watches."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("epoch {task.completed} of {task.total}  loss {task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=epochs, loss="-")

        def on_epoch(epoch: int, logs: Mapping[str, float]) -> None:
            loss = f"{logs['loss']:.2e}"
            bar.update(task, description="training", completed=epoch + 1, loss=loss)

        yield on_epoch


def _print_result(result: "Experiment", engine: Engine, output: Path) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("mean squared error", min_width=20)
    table.add_column("train", justify="right")
    table.add_column("validation", justify="right")
    table.add_row("tied autoencoder", f"{result.train_mse:.2e}", f"{result.validation_mse:.2e}")
    table.add_row(
        "PCA, same width", f"{result.pca_train_mse:.2e}", f"{result.pca_validation_mse:.2e}"
    )
    facts = Table.grid(padding=(0, 2))
    on = f" on {os.environ['KERAS_BACKEND']}" if engine is Engine.keras else ""
    facts.add_row("engine", f"{engine}{on}")
    facts.add_row("epochs", f"{len(result.history['loss'])}, in {result.seconds:.2f} s")
    facts.add_row("parameters", f"{result.parameters}, against {result.untied_parameters} untied")
    facts.add_row("shared kernel", f"max |W_dec - W_enc^T| = {result.tie_error:g}")
    facts.add_row("figure", Text(str(output), overflow="fold"))
    console = Console(highlight=False)
    console.print(table, facts)


if __name__ == "__main__":
    main()
