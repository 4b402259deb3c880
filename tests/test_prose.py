"""Prose that a reader whose third language is English gets at once: docstrings, errors,
pages.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/**/*.md")]
MODULES = sorted(ROOT.glob("src/**/*.py"))
WIDTH = 100
SAY_INSTEAD = {
    r"\b(is|are) none (that|of)\b|\(.*\) is none\b": "'is not one of', or 'unexpected'",
    r"\b(is|are) not told\b": "what is invalid",
    r"\bwhat one wants\b": "what to use",
    r"\bis not theirs\b|\bare not theirs\b": "whose it is",
    r"\bhold as many of\b": "'detected from the first lines'",
    r"\bkept as of\b": "'kept from the step'",
    r"\b(utili[sz]e|leverage|in order to|due to the fact)\b": "the short word",
    r"\b(please|simply|obviously|of course)\b": "nothing",
}


@pytest.fixture(scope="module")
def prose():
    """The texts of modules, with their places, and the lines of pages."""
    texts = []
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = " ".join(node.value.split())
                if text.count(" ") > 1:  # not a word of some program
                    texts.append((f"{module}:{node.lineno}", text))
    for page in PAGES:
        for line, text in enumerate(page.read_text().splitlines(), 1):
            texts.append((f"{page}:{line}", text))
    return texts


@pytest.mark.parametrize("pattern", SAY_INSTEAD)
def test_words_that_few_readers_get_are_not_used(pattern, prose):
    search = re.compile(pattern, re.IGNORECASE).search
    places = [place for place, text in prose if search(text)]
    assert not places, f"say {SAY_INSTEAD[pattern]} instead"


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
