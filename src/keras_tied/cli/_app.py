"""The root command, and the decorator that registers a subcommand."""

import copy
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import MISSING, Field, fields, is_dataclass
from io import TextIOWrapper
from typing import Annotated, Any, cast, get_args, get_type_hints

import typer

from keras_tied._version import __version__
from keras_tied.cli._messages import UsageError, report_errors, say
from keras_tied.cli._table import report_table_errors

# The base class of Typer's errors on a bad command line; some versions have no public
# name for it.
_ParserError = cast("type[Exception]", typer.BadParameter.__mro__[1])

NO_CLOBBER = typer.Option("--no-clobber", help="Fail if the output is there already.")
DEBUG = typer.Option("--debug", help="Show the traceback of errors.")

app = typer.Typer(
    help="Autoencoders whose decoder is their encoder, transposed.",
    epilog="Example:  keras-tied fit rows.csv -o model.safetensors",
    pretty_exceptions_enable=False,
)


def command(
    example: str, tables: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command, and add the option `--debug` to it.

    A parameter whose default is an `option` becomes that, and one whose type is a
    dataclass an option for each field, under its `HEADING`. Without `tables`, pyarrow
    need not be installed.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        parameters = list(_list_options(signature.parameters.values()))
        if any(each.name == "output" for each in parameters):
            parameters.append(
                _make_parameter("no_clobber", Annotated[bool, NO_CLOBBER], False)
            )
        parameters.append(_make_parameter("debug", Annotated[bool, DEBUG], False))

        @functools.wraps(function)
        def run(debug: bool = False, no_clobber: bool = False, **options: Any) -> None:
            with (
                report_errors(debug),
                report_table_errors() if tables else nullcontext(),
            ):
                if no_clobber and os.path.lexists(output := options["output"] or ""):
                    raise UsageError(
                        f"{str(output)!r} is there already; name another, or leave out "
                        "--no-clobber."
                    )
                _require_order(options)
                function(**_gather(signature.parameters.values(), options))

        vars(run)["__signature__"] = signature.replace(parameters=parameters)
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return app.command(function.__name__, epilog=f"Example:  {example}")(run)

    return register


@functools.cache
def _fields_of(kind: Any) -> list[inspect.Parameter]:
    """Return the parameters that a set of options stands for; none for the type of an option."""
    if not is_dataclass(kind):
        return []
    hints, heading = (
        get_type_hints(kind, include_extras=True),
        getattr(kind, "HEADING", ""),
    )
    return [
        _make_parameter(each.name, hints[each.name], each, heading)
        for each in fields(kind)
    ]


def _make_parameter(
    name: str, hint: Any, default: Any, heading: str = ""
) -> inspect.Parameter:
    """Return the parameter of an option, which may be a field that `option` has made."""
    if isinstance(default, Field):
        if default.metadata:
            hint = Annotated[hint, default.metadata["option"]]
        default = (
            inspect.Parameter.empty if default.default is MISSING else default.default
        )
    if heading:
        dtype, option = get_args(hint)
        option = copy.copy(option)
        option.rich_help_panel = heading
        hint = Annotated[dtype, option]
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=hint)


def _list_options(
    parameters: Iterable[inspect.Parameter],
) -> Iterator[inspect.Parameter]:
    """Yield the parameters of a command, and in place of a set of options its fields."""
    for each in parameters:
        if some := _fields_of(each.annotation):
            yield from _list_options(some)
        else:
            yield _make_parameter(each.name, each.annotation, each.default)


def _gather(
    parameters: Iterable[inspect.Parameter], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of a command, with the sets of options made of their fields."""
    return {
        each.name: (
            each.annotation(**_gather(some, options))
            if (some := _fields_of(each.annotation))
            else options[each.name]
        )
        for each in parameters
    }


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
