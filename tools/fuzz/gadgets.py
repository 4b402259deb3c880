"""Name every public symbol of Keras in a model file, with arguments that would do harm.

    python tools/fuzz/gadgets.py

A file of an estimator names classes where `encoder` is the user's own. Each class and
function that Keras exports is put there, with a path for each of its arguments in turn.
Nothing may open that path, write a file, run a program or open a connection; the file
is refused with a `ValueError`, or its object is made. Prints how many there were, and
what did harm.
"""

import contextlib
import importlib
import inspect
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras_tied  # noqa: F401  # settles the backend before Keras is imported

# isort: split
import keras

from tied_tables.model.file.contents import deserialize_params

EVENTS = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "shutil.",
    "urllib.",
)


def list_symbols() -> Iterator[tuple[str, str, Any]]:
    """The module, the name and the value of all that `keras` exports, each once."""
    names, known = ["keras"], set[int]()
    names += [each.name for each in pkgutil.walk_packages(keras.__path__, "keras.")]
    for name in sorted(name for name in names if not name.startswith("keras.src")):
        with contextlib.suppress(Exception):
            module = importlib.import_module(name)
            for symbol, value in sorted(vars(module).items()):
                is_new = callable(value) and id(value) not in known
                if is_new and not symbol.startswith("_"):
                    known.add(id(value))
                    yield name, symbol, value


def list_configs(
    module: str, name: str, value: Any, path: str
) -> Iterator[dict[str, Any]]:
    base = {"module": module, "class_name": name, "registered_name": name}
    if not inspect.isclass(value):
        yield {
            "module": module,
            "class_name": "function",
            "config": name,
            "registered_name": name,
        }
        yield {**base, "config": {}}
        return
    yield {**base, "config": {}}
    yield {**base, "registered_name": None, "config": {}}
    with contextlib.suppress(ValueError, TypeError):
        for parameter in list(inspect.signature(value).parameters)[:12]:
            yield {**base, "config": {parameter: path}}
            yield {**base, "config": {parameter: f"file://{path}", "name": "a"}}


def main() -> None:
    warnings.simplefilter("ignore")
    harm, n_configs, n_refused = dict[str, str](), 0, 0
    with TemporaryDirectory() as folder:
        path = Path(folder, "canary.txt")
        path.write_text("canary")
        symbols = list(list_symbols())
        watching = ""

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            if not watching:
                return
            text = repr(arguments)[:200]
            is_canary = event == "open" and "canary" in text
            writes = event == "open" and {*str(arguments[1])} & {*"wax+"}
            if is_canary or writes or event.startswith(EVENTS):
                harm[f"{watching}: {event}"] = text

        sys.addaudithook(watch)
        watching = "planted"
        path.read_text()
        assert harm.pop("planted: open"), "the watch does not see what it is there for"
        watching = ""
        for module, name, value in symbols:
            for config in list_configs(module, name, value, str(path)):
                n_configs += 1
                watching = f"{module}.{name}"
                try:
                    deserialize_params({"encoder": config})
                except Exception:
                    n_refused += 1
                finally:
                    watching = ""
    for what, arguments in harm.items():
        print(what, arguments)
    print(
        "done",
        len(symbols),
        "symbols",
        n_configs,
        "configurations",
        n_refused,
        "refused",
    )


if __name__ == "__main__":
    main()
