"""Prose of pages."""

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
