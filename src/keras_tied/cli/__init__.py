"""The command ``keras-tied``: arguments in, messages out.

Each command imports what it needs when it runs, so that ``--help`` starts fast. Exit codes: 0 for
success, 1 for a failure, 2 for wrong use, 130 after Ctrl-C, 143 after SIGTERM.
"""

try:
    import typer  # noqa: F401
except ImportError as error:
    raise SystemExit(
        'keras-tied: the command needs Typer and Rich; run pip install "keras-tied[cli]".'
    ) from error

# isort: off
# In the order in which --help names the commands.
from keras_tied.cli import _demo  # noqa: F401
from keras_tied.cli import _check  # noqa: F401
from keras_tied.cli import _fit  # noqa: F401
from keras_tied.cli import _apply  # noqa: F401
from keras_tied.cli import _score  # noqa: F401
from keras_tied.cli import _plot  # noqa: F401
from keras_tied.cli import _report  # noqa: F401
from keras_tied.cli import _compare  # noqa: F401
from keras_tied.cli import _export  # noqa: F401
from keras_tied.cli import _inspect  # noqa: F401
from keras_tied.cli._app import app, main, run

__all__ = ["app", "main", "run"]
