"""The command ``keras-tied``, also as ``python -m keras_tied``."""

import gc
import sys
from importlib.util import find_spec

from keras_tied._signals import run


def main() -> None:
    """Run the command line and exit; the entry point of ``keras-tied``."""
    run(_run)


def _run() -> int:
    gc.set_threshold(50_000)  # imports make many objects and no garbage
    if sys.argv[1:2] == ["configure"] and len(sys.argv) < 4 and not find_spec("typer"):
        return _configure(*sys.argv[2:])
    from keras_tied.cli import run  # takes long enough for a signal

    return run()


def _configure(backend: str | None = None) -> int:
    """Do what the command does, where only Keras is installed."""
    from keras_tied._configure import configure

    try:
        print(f"keras-tied: {configure(backend)}", file=sys.stderr)
    except (OSError, ValueError) as error:
        print(f"keras-tied: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    main()
