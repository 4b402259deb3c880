"""The standard streams of the command, which may be closed, or on a full disk."""

import os
import sys
from io import TextIOWrapper
from typing import TextIO


class Stream(TextIOWrapper):
    """A stream of text that notes an error of writing, and lets the work go on.

    Data, which go to its `buffer`, raise it.
    """

    error: OSError | None = None

    def write(self, text: str) -> int:
        """Write a text, or note why it cannot be written."""
        try:
            super().write(text)
        except OSError as error:
            self.error = error
        return len(text)

    def flush(self) -> None:
        """Write what waits, or note why it cannot be written."""
        try:
            super().flush()
        except OSError as error:
            self.error = error


def open_streams() -> tuple[Stream, Stream]:
    """Open the streams that the parent has closed; return those of output and errors.

    No file that is opened later gets their numbers. What was closed can be neither read
    nor written.
    """
    for number, flag in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_RDONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flag)  # gets the smallest number that is free
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = output = _open(1, sys.stdout)
    sys.stderr = errors = _open(2, sys.stderr)
    return output, errors


def _open(number: int, stream: TextIO | None) -> Stream:
    encoding = None if stream is None else stream.encoding
    # File names may hold characters that the encoding lacks.
    return Stream(
        open(number, "wb", closefd=False),
        encoding,
        "backslashreplace",
        line_buffering=True,
    )
