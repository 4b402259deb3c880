"""The errors of tables, each of one sentence."""


class TableError(ValueError):
    """A table cannot be used as it is; the message is one sentence for the user."""


class WriteError(TableError):
    """A table cannot be written; the message is one sentence for the user."""
