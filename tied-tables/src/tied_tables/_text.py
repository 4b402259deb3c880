"""Format the user's texts and numbers for figures, pages and messages."""

import math
import re
from collections.abc import Sequence
from datetime import datetime, time
from difflib import get_close_matches
from typing import Any

# The name of all categories that were too rare to have a number of their own.
OTHER = "(other)"
LONGEST_VALUE = 120  # the most characters of a text; a longer one is cut in its middle

# Up to the last "@" of an address: a key may hold any other character. A number behind
# a colon is a port.
_SECRETS = re.compile(
    r"""(\b[A-Za-z][\w+.-]*://)
    (?:[^\s/?\#]*@ | [^\s/?\#:]*:(?!\d+(?:[/?\#]|$))\S*@)?
    ([^\s?\#'"]*)
    (?:[?\#][^\s'"]*)?""",
    re.VERBOSE,
)
# Characters that JSON leaves as they are, though a terminal would obey them.
_ESCAPES = {code: f"\\u{code:04x}" for code in range(127, 160)}
_INVISIBLE = dict.fromkeys((*range(32), *_ESCAPES), "�")


def format_value(value: Any, longest: int = LONGEST_VALUE) -> str:
    """Turn a user's value into text that can be encoded, is visible, and is short."""
    if isinstance(value, datetime) and value.timetz() == time():
        value = value.date()
    text = str(value)
    if isinstance(value, float):  # whole ones may be dates such as 20260131
        text = f"{value:.{15 if value % 1 == 0 else 6}g}"
    if len(text) > longest:
        half = (longest - 1) // 2
        text = f"{text[:half]}…{text[-half:]}"
    # A file name may hold bytes that are no text, which Python keeps as lone
    # surrogates.
    return replace_controls(text.encode("utf-8", "replace").decode())


def replace_controls(text: str) -> str:
    """Replace control characters, which a terminal would obey."""
    return text.translate(_INVISIBLE)


def hide_secrets(text: str) -> str:
    """Cut users, passwords and queries out of the addresses in a text."""
    if re.match(r"[A-Za-z][\w+.-]*://\S+ ", text):  # a name with a space
        text = text.partition("?")[0]
    return _SECRETS.sub(r"\1\2", text)


def escape_controls(json: str) -> str:
    """Escape control characters in JSON, which a terminal would obey."""
    return json.translate(_ESCAPES)


def format_number(value: float | None) -> str:
    """Format a number with three significant digits."""
    if value is None or math.isnan(value):
        return "-"
    if abs(value) >= 1e7 or 0 < abs(value) < 1e-4:
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def format_share(share: float) -> str:
    """Format a share as a percentage, never 100 % unless it is."""
    percent = 100 * share
    if 99 < percent < 100:
        return f"{math.floor(10 * percent) / 10:.1f} %"
    if 0 < percent < 0.05:
        return "< 0.1 %"
    return f"{percent:.1f} %" if 0 < percent < 9.95 else f"{percent:.0f} %"


def format_rarity(one_in: float, most: float) -> str:
    """Format one row in how many is as odd, with "> " if it is one in all, `most`."""
    if one_in >= most:
        return f"> {most:,.0f}"
    digits = len(str(int(one_in)))
    return f"{round(one_in, min(0, 2 - digits)):,.0f}"


def list_some(names: Sequence[str], most: int = 8) -> str:
    """List the first names, and the number of the others: "a, b and 1 more"."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def quote(names: Sequence[str]) -> str:
    """List the first names in quotes."""
    return list_some(list(map(repr, names)))


def propose(name: str, names: Sequence[str]) -> str:
    """Say which of some names is meant by one that is not there, or list them."""
    near = get_close_matches(name, names, 1, cutoff=0.7)
    return f"try {near[0]!r}" if near else f"available: {quote(names)}"


def format_quantity(n: int, thing: str) -> str:
    """Format a number of things: "1 row", "1,797 rows"."""
    return f"{n:,} {thing}" + ("" if n == 1 else "s")


def format_exceptions(n_rows: int, n_exceptions: int) -> str:
    """Format in how many rows a rule holds: "99.8 % of 500 rows, 1 exception".

    Only without exceptions it is 100 %.
    """
    share = 100 * (1 - n_exceptions / n_rows)
    digits = 4
    while n_exceptions and float(f"{share:.{digits}g}") == 100:
        digits += 1
    exceptions = format_quantity(n_exceptions, "exception")
    return f"{share:.{digits}g} % of {n_rows:,} rows, {exceptions}"
