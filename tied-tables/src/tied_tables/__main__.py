"""The command ``tied-tables``, also as ``python -m tied_tables``."""

import gc
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack

from tied_tables._signals import handle_signals


def main() -> None:
    """Run the command line and exit; the entry point of ``tied-tables``."""
    sys.exit(run(_run))


def _run() -> int:
    gc.set_threshold(50_000)  # imports make many objects and no garbage
    from tied_tables.cli import run  # takes long enough for a signal

    return run()


def run(command: Callable[[], int]) -> int:
    """Run a command as a process; return its exit code, or that of a signal."""
    if sys.stderr is None:  # else messages would go to the standard output
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in filter(None, (sys.stdout, sys.stderr)):
        # File names may hold characters that the encoding lacks.
        stream.reconfigure(errors="backslashreplace")
    with handle_signals() as signals, ExitStack() as stack:
        if os.path.expanduser("~") == "~":  # libraries fail where there is no home
            from tied_tables._files import temporary_folder

            os.environ["HOME"] = stack.enter_context(temporary_folder())
        try:
            code = command()
        except OSError as error:  # of what is printed beside the work, such as --help
            code = _lose_output(error)
    if signals.received is not None:
        if code == 0:
            _report("interrupted; this is the result so far.")
        code = signals.code
    return _flush_output() or code


def _flush_output() -> int:
    """Write what is still to be printed; return 1 if that fails."""
    if sys.stdout is None:
        return 0
    try:
        sys.stdout.flush()
    except OSError as error:
        return _lose_output(error)
    return 0


def _lose_output(error: OSError) -> int:
    """Report that the standard output cannot be written, and drop it."""
    # Python would flush it again, and fail with a traceback.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):  # else the reader has seen enough
        _report(f"cannot write to the standard output: {error.strerror}.")
    return 1


def _report(message: str) -> None:
    print("tied-tables:", message, file=sys.stderr)


if __name__ == "__main__":
    main()
