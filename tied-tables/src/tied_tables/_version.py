"""The version: that of the last tag, which the build writes into `_tag.py`."""

try:
    from tied_tables._tag import __version__ as version
except ImportError:  # a checkout that was not installed
    version = "0.1.0.dev0"

__version__: str = version
