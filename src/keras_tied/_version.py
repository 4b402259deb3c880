"""The version: that of the last tag, which the build writes into `_tag.py`."""

__version__: str

try:
    from keras_tied._tag import __version__
except ImportError:  # a checkout that was not installed
    __version__ = "0.1.0.dev0"

__all__ = ["__version__"]
