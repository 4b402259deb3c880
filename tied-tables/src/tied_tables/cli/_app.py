"""The root command, and the decorator that registers a subcommand."""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, cast

import typer
from typer.core import TyperCommand

from tied_tables._files import require_new
from tied_tables._text import replace_controls
from tied_tables._version import __version__
from tied_tables.cli._messages import UsageError, be_quiet, print_message, report_errors
from tied_tables.cli._options import option
from tied_tables.cli._proposals import (
    MODEL_ENDINGS,
    describe_files,
    propose_command,
    propose_words,
    reword,
    write_use,
)

# The base class of Typer's errors on a bad command line; some versions have no public
# name for it.
_ParserError = cast("type[Exception]", typer.BadParameter.__mro__[1])

EXAMPLE = "tied-tables score rows.csv"
app = typer.Typer(
    help="Find suspicious cells in a table and fill in missing values.",
    epilog=f"Example:  {EXAMPLE}",
    context_settings={"help_option_names": ["--help", "-h"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich takes as long to import as all the rest
)
_examples: dict[str, str] = {}  # of each command


class Command(TyperCommand):
    """A command whose help has a section for each group of options."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The names of the arguments, without the braces around some."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options, and those of each group."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            kind = f"{parameter.param_type_name}s".capitalize()
            heading = getattr(parameter, "rich_help_panel", None) or kind
            if record := parameter.get_help_record(ctx):
                name, text = record
                if heading == "Arguments":  # without Typer's <str>
                    name = str(parameter.metavar)
                sections.setdefault(heading, []).append((name, text))
        for heading in filter(sections.get, sections):
            with formatter.section(heading):
                formatter.write_dl(sections[heading])


@dataclass(frozen=True)
class CommonOptions:
    """The options that all commands have."""

    quiet: bool = option(
        "Print no progress, notes or warnings.", "--quiet", "-q", default=False
    )
    no_clobber: bool = option(  # of commands with an output
        "Fail if the output already exists.", "--no-clobber", default=False
    )
    debug: bool = option("Show the traceback of errors.", "--debug", default=False)


def command(example: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command, and add `CommonOptions` to it.

    A parameter whose type is a dataclass stands for the options that are its fields.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        parameters = _list_command_options(function)

        @functools.wraps(function)
        def run(**options: Any) -> None:
            common = fill_options(CommonOptions, options)
            be_quiet(common.quiet)
            with report_errors(common.debug):
                _require_folder()
                if "model" in options and "data" in options:
                    _sort_files(options, example)
                _name_output(options)
                new_paths = _require_absent(options) if common.no_clobber else []
                with require_new(*new_paths):
                    fill_options(function, options)

        vars(run)["__signature__"] = inspect.Signature(parameters)
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        _examples[function.__name__] = example
        add = app.command(
            function.__name__,
            cls=Command,
            short_help=str(function.__doc__).splitlines()[0],
            epilog=f"Example:  {example}",
        )
        return add(run)

    return register


def _list_command_options(function: Any) -> list[inspect.Parameter]:
    """Return the options of a command, with the `CommonOptions` that suit it."""
    parameters = list(_list_options(function))
    has_output = any(each.name == "output" for each in parameters)
    for parameter in _list_options(CommonOptions):
        if has_output or parameter.name != "no_clobber":
            parameters.append(parameter)
    return parameters


def _list_options(function: Any) -> Iterator[inspect.Parameter]:
    """Yield the parameters of a function, and instead of a dataclass its fields."""
    for parameter in _list_parameters(function):
        if is_dataclass(parameter.annotation):
            yield from _list_options(parameter.annotation)
        else:
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def fill_options(function: Any, options: Mapping[str, Any]) -> Any:
    """Call a function with its own options, and those of its dataclasses.

    An option that is not there has its default.
    """
    arguments = {}
    for parameter in _list_parameters(function):
        name, kind = parameter.name, parameter.annotation
        if is_dataclass(kind):
            arguments[name] = fill_options(kind, options)
        else:
            default = getattr(parameter.default, "default", parameter.default)
            arguments[name] = options.get(name, default)
    return function(**arguments)


@functools.cache
def _list_parameters(function: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


def _sort_files(options: dict[str, Any], example: str) -> None:
    """Tell the model and the table apart, whichever comes first; a model may lack."""
    files = [options[name] for name in ("model", "data") if options[name]]
    models = [name for name in files if name.endswith(MODEL_ENDINGS)]
    tables = [name for name in files if name not in models]
    if not tables:
        raise UsageError(f"no table given; example: {example}.")
    if len(tables) > 1:
        raise UsageError(
            f"{tables[0]!r} and {tables[1]!r} are given, but a command reads one table,"
            f" and optionally a model ({' or '.join(MODEL_ENDINGS)});"
            f" {describe_files(example)}."
        )
    [options["data"]] = tables
    options["model"] = models[0] if models else None


def _name_output(options: dict[str, Any]) -> None:
    """Put the name of the table or the model in place of * in that of the output."""
    output = str(options.get("output") or "")
    if "*" in output:
        source = str(options.get("data") or options["model"])
        path = output.replace("*", _find_stem(source))
        options["output"] = type(options["output"])(path)


def _require_absent(options: Mapping[str, Any]) -> list[Path]:
    """Return the files that a command writes; raise if one of them is there."""
    names = [str(options.get(name) or "") for name in ("output", "cells")]
    paths = [name for name in names if name]
    for path in paths:
        if os.path.lexists(path):
            raise UsageError(
                f"{path!r} already exists; choose another name or drop --no-clobber."
            )
    return list(map(Path, paths))


def _require_folder() -> None:
    """Raise if the working folder is not there."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise UsageError(
            "the working directory was deleted; change to another one."
        ) from error


def _find_stem(name: str) -> str:
    """Return the name of a table or a model without folders and endings."""
    stem, _, _ = os.path.basename(name.rstrip("/")).partition(".")
    return stem.strip("*?-") or "rows"


def run(names: Collection[str]) -> int:
    """Run the command line of one of some commands; returns the exit code."""
    words = sys.argv[1:]
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    first = words[0] if words else "--help"
    if first not in names and not first.startswith("-"):
        if os.path.lexists(first):
            _print_uses(first)
        else:
            print_message(propose_command(words, names))
        return 2
    try:
        return int(app(words, prog_name="tied-tables", standalone_mode=False) or 0)
    except _ParserError as error:
        what = propose_words(error, words, _examples.get(first, EXAMPLE))
        message = cast(Any, error).format_message().rstrip(".")
        print_message(f"{reword(message)}; {what}.")
        return 2


def _print_uses(file: str) -> None:
    """Print what can be done with a file."""
    print(f"Commands for {replace_controls(file)}:")
    for each in app.registered_commands:
        if line := write_use(file, _examples[each.name or ""]):
            what = inspect.getdoc(each.callback) or ""
            print(f"\n  {what.splitlines()[0]}\n  $ {replace_controls(line)}")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = option("Show the version.", "--version", default=False),
) -> None:
    if version:
        print(f"tied-tables {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)
