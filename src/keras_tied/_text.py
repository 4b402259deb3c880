"""How the user's own texts and numbers are shown, in figures and on pages."""

from __future__ import annotations

import math
from typing import Any

LONGEST = 120
"""Characters of a text that are shown; a longer one is cut in its middle."""

_INVISIBLE = dict.fromkeys((*range(32), *range(127, 160)), "�")


def format_value(value: Any, longest: int = LONGEST) -> str:
    r"""A value of the user's as text that can be encoded and seen, and is not too long.

    This is not escaping: what shows it must take it as text, whatever it holds.

    Examples:
        >>> shown("a\0b")
        'a�b'
        >>> shown("abcdefghij", longest=5)
        'ab…ij'
    """
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if len(text) > longest:
        half = (longest - 1) // 2
        text = f"{text[:half]}…{text[-half:]}"
    # A file name may hold bytes that are no text, which Python keeps as lone surrogates.
    return replace_controls(text.encode("utf-8", "replace").decode())


def replace_controls(text: str) -> str:
    r"""Text without characters that would tell a terminal what to do.

    Examples:
        >>> visible("a\x1b[31mb")
        'a�[31mb'
    """
    return text.translate(_INVISIBLE)


def format_number(value: float | None) -> str:
    """A number with three significant digits.

    Examples:
        >>> number(0.123456), number(12345.6), number(float("nan"))
        ('0.123', '12,346', '-')
    """
    if value is None or math.isnan(value):
        return "-"
    if abs(value) >= 1e7 or 0 < abs(value) < 1e-4:
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def format_count(n: int) -> str:
    """A whole number with its thousands apart.

    Examples:
        >>> count(1797)
        '1,797'
    """
    return f"{n:,}"


def format_quantity(n: int, thing: str) -> str:
    """So many of a thing.

    Examples:
        >>> quantity(1, "row"), quantity(1797, "row")
        ('1 row', '1,797 rows')
    """
    return f"{format_count(n)} {thing}" if n == 1 else f"{format_count(n)} {thing}s"
