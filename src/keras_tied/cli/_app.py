"""The root command, and the decorator that registers a subcommand."""

import copy
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from io import TextIOWrapper
from typing import Annotated, Any, cast, get_args

import typer

from keras_tied._version import __version__
from keras_tied.cli._messages import UsageError, report_errors, say
from keras_tied.cli._options import Debug, NoClobber
from keras_tied.cli._table import ColumnOptions, TableOptions, report_table_errors

# The base class of Typer's errors on a bad command line; some versions have no public name for it.
_ParserError = cast("type[Exception]", typer.BadParameter.__mro__[1])

OPTION_SETS = {
    kind: inspect.signature(kind, eval_str=True).parameters
    for kind in (TableOptions, ColumnOptions)
}
"""The sets of options, which have a heading in the help each, and their fields."""
DEBUG, NO_CLOBBER = (
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
    for name, annotation in (("debug", Debug), ("no_clobber", NoClobber))
)

app = typer.Typer(
    help="Autoencoders whose decoder is their encoder, transposed.",
    epilog="Example:  keras-tied fit rows.csv -o model.safetensors",
    pretty_exceptions_enable=False,
)


def command(
    example: str, tables: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command, and add the option `--debug` to it.

    A parameter of type `TableOptions` or `ColumnOptions` becomes an option for each of its fields.
    An exception in the function becomes one sentence and an exit code.

    Args:
        example: a command line for the help.
        tables: whether it reads or writes tables, and so needs pyarrow.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        writes = "output" in signature.parameters
        added = [NO_CLOBBER, DEBUG] if writes else [DEBUG]
        parameters = [*_split_options(signature.parameters.values()), *added]

        @functools.wraps(function)
        def run(*args: Any, debug: bool = False, no_clobber: bool = False, **kwargs: Any) -> None:
            for name, parameter in signature.parameters.items():
                if fields := OPTION_SETS.get(parameter.annotation):
                    kwargs[name] = parameter.annotation(*(kwargs.pop(field) for field in fields))
            with report_errors(debug), report_table_errors() if tables else nullcontext():
                if no_clobber:
                    _require_new(kwargs["output"])
                _require_order(kwargs)
                function(*args, **kwargs)

        vars(run)["__signature__"] = signature.replace(parameters=parameters)
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return app.command(epilog=f"Example:  {example}")(run)

    return register


def _split_options(parameters: Iterable[inspect.Parameter]) -> Iterator[inspect.Parameter]:
    """Replace a parameter that is a set of options by its fields."""
    for parameter in parameters:
        for field in OPTION_SETS.get(parameter.annotation, {}).values():
            option = copy.copy(get_args(field.annotation)[1])
            option.rich_help_panel = parameter.annotation.HEADING
            yield field.replace(
                kind=inspect.Parameter.KEYWORD_ONLY,
                annotation=Annotated[get_args(field.annotation)[0], option],
            )
        if parameter.annotation not in OPTION_SETS:
            yield parameter


def _require_new(output: Any) -> None:
    """Raise if the output is there already."""
    if output is not None and os.path.lexists(output):
        raise UsageError(
            f"{str(output)!r} is there already; name another, or leave out --no-clobber."
        )


def _require_order(arguments: Mapping[str, Any]) -> None:
    """Raise if model and table were swapped."""
    model, data = str(arguments.get("model", "")), str(arguments.get("data", ""))
    endings = (".safetensors", ".keras")
    if data.endswith(endings) and model and not model.endswith(endings):
        raise UsageError(f"{data!r} is a model, which comes first; write {data!r} {model!r}.")


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run())


def run() -> int:
    """Run the command line; returns the exit code."""
    if isinstance(sys.stdout, TextIOWrapper):
        # File names may hold characters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return int(app(prog_name="keras-tied", standalone_mode=False) or 0)
    except _ParserError as error:
        say(f"{_format_error(error)}; see keras-tied --help.")
        return 2


def _format_error(error: Any) -> str:
    """Return Typer's message on a bad command line, without its full stop."""
    message = str(error.format_message()).rstrip(".")
    name = getattr(error, "option_name", None)
    words = [word for word in sys.argv[1:] if name and word.startswith(name)]
    if files := list(filter(os.path.lexists, words)):
        message += f"; for the file, write {f'./{files[0]}'!r}"
    return message


def _print_version(flag: bool) -> None:
    if flag:
        print(f"keras-tied {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)
