"""The errors of tables, each of one sentence.

A setting that the user can give is named as in Python and put in backticks, such as
`skip=2`; the command line prints its own form of it.
"""


class TableError(ValueError):
    """A table cannot be used as it is; the message is one sentence for the user."""


class WriteError(TableError):
    """A table cannot be written; the message is one sentence for the user."""
