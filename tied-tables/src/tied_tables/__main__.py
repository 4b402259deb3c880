"""The command ``tied-tables``, also as ``python -m tied_tables``."""

import atexit
import gc
import os
from collections.abc import Callable
from contextlib import ExitStack

from tied_tables._signals import handle_signals
from tied_tables._streams import open_streams

UNTOLD_CODE = 5  # done, but not all that was printed could be written


def main() -> None:
    """Run the command line and exit; the entry point of ``tied-tables``."""
    run(_run)


def _run() -> int:
    gc.set_threshold(50_000)  # imports make many objects and no garbage
    from tied_tables.cli import run  # takes long enough for a signal

    return run()


def run(command: Callable[[], int]) -> None:
    """Run a command as a process, and exit with its code, or that of a signal."""
    output, errors = open_streams()
    with handle_signals() as signals, ExitStack() as stack:
        if os.path.expanduser("~") == "~":  # libraries fail where there is no home
            from tied_tables._files import temporary_folder

            os.environ["HOME"] = stack.enter_context(temporary_folder())
        code = command()
        if signals.received is not None:
            if code == 0:
                errors.write("tied-tables: interrupted; this is the result so far.\n")
            code = signals.code
    output.flush()
    is_read = not isinstance(output.error, BrokenPipeError)
    if code == 0 and output.error and is_read:
        reason = f"cannot write to the standard output: {output.error.strerror}"
        errors.write(f"tied-tables: done, but {reason}.\n")
    errors.flush()
    if code == 0 and (output.error or errors.error):
        code = UNTOLD_CODE
    # Not Python's own exit, which takes a fifth of the time of a short command to free
    # what the system frees anyway.
    atexit._run_exitfuncs()
    os._exit(code)


if __name__ == "__main__":
    main()
