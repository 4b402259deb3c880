"""Prose of pages."""

import ast
import itertools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*-*/**/*.md")]
WIDTH = 100
PLAIN = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "tools/README.md",
    *ROOT.glob("*-*/README.md"),
    *(page for page in ROOT.glob("docs/**/*.md") if page.name != "benchmarks.md"),
]
DIALECT = {
    "anew": "again",
    "beside": "compared with, with, next to",
    "by heart": "overfit",
    "counts? as missing": "is treated as missing",
    "(is|are) said": "with a message, is reported",
    "(is|are) there twice": "duplicate, stored twice",
    "(is|are) told": "gets",
    "in place of": "instead of",
    "loop of (my|your|one's) own": "custom training loop",
    "makes? likely": "the other columns suggest",
    "mend(s|ed)?": "repair, fix",
    "oddness": "outlier score",
    "odd by itself": "an outlier on its own",
    "what holds": "guarantee, result",
    "whole or not at all": "completely or not at all",
}
"""Phrases that readers stumbled over, and what to write instead."""
MESSAGES = {
    "came out": "became, was",
    "has not": "does not have",
    "is no (address|array|checkpoint|model|page|table)": "is not a",
    "is there already": "already exists",
    "knows no": "has no",
    "look at the": "check the",
    "name (another|one of|some)": "choose",
    "stands? twice": "duplicate",
    "where .* was expected": "instead of",
    "write it as in": "example:",
}
"""As above, in messages and help texts."""
SOURCES = [*ROOT.glob("*-*/src/**/*.py")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_wraps(page):
    long, fence = [], False
    for line, text in enumerate(page.read_text().splitlines(), 1):
        fence ^= text.strip().startswith(("```", "~~~"))
        is_prose = not fence and not text.strip().startswith(
            ("|", "#", "!", "<", "[", "$$")
        )
        if (
            is_prose
            and len(text) > WIDTH
            and " " in text[:WIDTH].strip().lstrip("-*0123456789. ")
        ):
            long.append(line)
    assert not long


@pytest.mark.parametrize("page", PLAIN, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_is_free_of_dialect(page):
    # headings of the page of error messages quote the messages
    lines = [line for line in page.read_text().splitlines() if line[:1] != "#"]
    text = " ".join(" ".join(lines).split())
    found = {
        phrase: instead
        for phrase, instead in DIALECT.items()
        if re.search(rf"\b({phrase})\b", text, re.IGNORECASE)
    }
    assert not found


def test_messages_are_free_of_dialect():
    phrases = "|".join(DIALECT | MESSAGES)
    found = []
    for text in itertools.chain.from_iterable(map(list_messages, SOURCES)):
        if match := re.search(rf"\b({phrases})\b", text):
            found.append((match[0], text))
    assert not found


def list_messages(file):
    """The texts of a module with a space in them, without its docstrings."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and " " in node.value and node not in docstrings:
            yield " ".join(node.value.split())
