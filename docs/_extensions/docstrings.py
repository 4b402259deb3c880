"""Reads the Markdown of the docstrings as reStructuredText, which autodoc expects."""

import inspect
import re
from types import FunctionType
from typing import Any

from sphinx.application import Sphinx

LINK = re.compile(r"\[([^\]`]+)\]\((https?://[^)\s]+)\)")
BLOCK_FORMULA = re.compile(r"^( *)\$\$(.+?)\$\$(\S?)$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"``.+?``|`([^`]+)`|(?<![\\$\w])\$([^$]+?)\$(?!\w)", re.DOTALL)
FOREIGN = {"builtins", "collections", "enum", "keras", "sklearn"}
REQUEST = re.compile(r"set_\w+_request")
NAME = re.compile(r"[A-Za-z_][\w.]*")


def translate_inline(match: re.Match[str]) -> str:
    """A name becomes a link where the reference has it, other code a literal, math
    math.
    """
    text, formula = match[1], match[2]
    if formula is not None:
        return rf":math:`{' '.join(formula.split())}`\ "
    if text is None:
        return match[0]
    text = " ".join(text.split())
    return rf":py:obj:`{text}`\ " if NAME.fullmatch(text) else rf"``{text}``\ "


def translate(text: str) -> str:
    """Translate the Markdown that the docstrings use, outside of examples."""
    text = BLOCK_FORMULA.sub(
        lambda match: (
            f"{match[1]}.. math::\n\n{match[1]}    {' '.join(match[2].split())}\n"
        ),
        text,
    )
    text = LINK.sub(r"`\1 <\2>`__", text)
    return INLINE.sub(translate_inline, text)


def on_docstring(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
):
    """Translate paragraphs; an example in a docstring is code already."""
    paragraphs = re.split(r"(\n\s*\n)", "\n".join(lines))
    lines[:] = "".join(
        part if re.search(r"^\s*>>> ", part, re.MULTILINE) else translate(part)
        for part in paragraphs
    ).split("\n")


def skip_member(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out what a class has from Keras or scikit-learn, and what "Attributes"
    lists already.

    Those are the fields of named tuples, and what a fit leaves behind, whose names end with "_".
    """
    function = getattr(obj, "fget", obj)
    module = getattr(function, "__module__", None) or ""
    is_foreign = module.split(".")[0] in FOREIGN or REQUEST.fullmatch(name)
    is_listed = type(obj).__name__ == "_tuplegetter" or name.endswith("_")
    return True if is_foreign or is_listed else None


def sign_class(
    app: Sphinx,
    what: str,
    name: str,
    obj: Any,
    options: Any,
    signature: str,
    returns: str,
) -> tuple[str, None] | None:
    """A class takes what its `__init__` takes; Keras's `__new__` takes anything."""
    if what != "class" or not isinstance(obj.__init__, FunctionType):
        return None
    parameters = inspect.signature(obj.__init__).parameters.values()
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    return str(inspect.Signature(plain[1:])), None


def setup(app: Sphinx) -> dict[str, bool]:
    """Translate before napoleon, which listens with priority 500."""
    app.connect("autodoc-process-docstring", on_docstring, priority=400)
    app.connect("autodoc-process-signature", sign_class)
    app.connect("autodoc-skip-member", skip_member)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
