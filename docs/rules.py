"""Fills in the documentation what comes from the code: the table of `mirror`'s rules, and formulas.

MkDocs calls the functions below while it builds the site.
"""

import re
from html import unescape
from typing import Any

from latex2mathml.converter import convert

from keras_tied.autoencoder._mirror_rules import RULES

PLACE = "<!-- the table of rules -->"
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def rules_table() -> str:
    """One row for each rule, in the order of their definition: encoder layers, and the mirror."""
    classes: dict[Any, list[str]] = {}
    for layer, entry in RULES.items():
        classes.setdefault(entry.rule, []).append(f"`{layer.__name__}`")
    rows = [
        f"| {', '.join(dict.fromkeys(names))} | {(rule.__doc__ or '').splitlines()[0]} |"
        for rule, names in classes.items()
    ]
    return "\n".join(["| in the encoder | in the decoder |", "| --- | --- |", *rows])


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the table where a page asks for it."""
    return markdown.replace(PLACE, rules_table())


def on_page_content(html: str, **_: Any) -> str:
    """Write formulas as MathML, which browsers show without a script."""

    def to_mathml(match: re.Match[str]) -> str:
        display = "block" if match[2] == "[" else "inline"
        return convert(unescape(match[3]), display=display)

    return FORMULA.sub(to_mathml, html)
