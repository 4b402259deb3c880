"""Prose of pages."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*-*/**/*.md")]
WIDTH = 100


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
