"""The command ``keras-tied``, also as ``python -m keras_tied``."""

import gc

from keras_tied._signals import run


def main() -> None:
    """Run the command line and exit; the entry point of ``keras-tied``."""
    run(_run)


def _run() -> int:
    gc.set_threshold(50_000)  # imports make many objects and no garbage
    from keras_tied.cli import run  # takes long enough for a signal

    return run()


if __name__ == "__main__":
    main()
