"""The root command, and the decorator that registers a subcommand."""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from io import TextIOWrapper
from typing import Annotated, Any, cast

import typer

from keras_tied._version import __version__
from keras_tied.cli._messages import UsageError, be_quiet, report_errors, say
from keras_tied.cli._options import option

# The base class of Typer's errors on a bad command line; some versions have no public
# name for it.
_ParserError = cast("type[Exception]", typer.BadParameter.__mro__[1])

app = typer.Typer(
    help="Autoencoders whose decoder is their encoder, transposed.",
    epilog="Example:  keras-tied fit rows.csv -o model.safetensors",
    pretty_exceptions_enable=False,
)


@dataclass(frozen=True)
class CommonOptions:
    """The options that all commands have."""

    quiet: bool = option(
        "Print no progress and no remarks.", "--quiet", "-q", default=False
    )
    no_clobber: bool = option(  # of commands with an output
        "Fail if the output is there already.", "--no-clobber", default=False
    )
    debug: bool = option("Show the traceback of errors.", "--debug", default=False)


def command(example: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command, and add `CommonOptions` to it.

    A parameter whose type is a dataclass stands for the options that are its fields.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        parameters = list(_list_options(function))
        has_output = any(each.name == "output" for each in parameters)
        for each in _list_options(CommonOptions):
            if has_output or each.name != "no_clobber":
                parameters.append(each)

        @functools.wraps(function)
        def run(**options: Any) -> None:
            common = _fill(CommonOptions, {"no_clobber": False} | options)
            be_quiet(common.quiet)
            with report_errors(common.debug):
                output = str(options.get("output") or "")
                if common.no_clobber and os.path.lexists(output):
                    raise UsageError(
                        f"{output!r} is there already; name another, or leave out "
                        "--no-clobber."
                    )
                _require_order(options)
                _fill(function, options)

        vars(run)["__signature__"] = inspect.Signature(parameters)
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return app.command(function.__name__, epilog=f"Example:  {example}")(run)

    return register


def _list_options(function: Any) -> Iterator[inspect.Parameter]:
    """Yield the parameters of a function, and in place of a dataclass its fields."""
    for parameter in _list_parameters(function):
        if is_dataclass(parameter.annotation):
            yield from _list_options(parameter.annotation)
        else:
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _fill(function: Any, options: Mapping[str, Any]) -> Any:
    """Call a function with its own options, and those of its dataclasses."""
    arguments = {}
    for parameter in _list_parameters(function):
        name, kind = parameter.name, parameter.annotation
        arguments[name] = _fill(kind, options) if is_dataclass(kind) else options[name]
    return function(**arguments)


@functools.cache
def _list_parameters(function: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


def _require_order(arguments: Mapping[str, Any]) -> None:
    """Raise if model and table were swapped."""
    model, data = str(arguments.get("model", "")), str(arguments.get("data", ""))
    endings = (".safetensors", ".keras")
    if data.endswith(endings) and model and not model.endswith(endings):
        raise UsageError(
            f"{data!r} is a model, which comes first; write {data!r} {model!r}."
        )


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
    message = (
        str(error.format_message()).rstrip(".").replace("Value error, ", "")
    )  # Pydantic's
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
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version.",
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)
