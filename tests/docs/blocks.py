"""The blocks of code in the README and the documentation, and what their pages say of
them.

A comment of Markdown above a block says what the block needs:

    <!-- continues -->            the blocks above it, in the same process and folder
    <!-- needs: umap, polars -->  packages; it is left out where they are not installed
    <!-- not run: REASON -->      what the tests do not have, such as a cluster
    <!-- prints -->               above a block of text: what the block before it prints
"""

import re
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
READMES = [ROOT / "README.md", *sorted(ROOT.glob("*-*/README.md"))]
PAGES = [*READMES, *sorted(ROOT.glob("docs/**/*.md"))]
PYTHON = {"python", "py", "pycon"}
SHELL = {"sh", "bash", "shell", "console"}
BLOCK = re.compile(
    r"""
    (?P<comments>(?:^[ ]*<!--[^\n]*-->\s*\n)*)
    ^(?P<indent>[ ]*)(?P<fence>`{3,})(?P<language>\w+)[ ]*\n
    (?P<source>.*?)
    ^(?P=indent)(?P=fence)$
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
PRINTED = re.compile(
    r"\s*<!-- prints -->\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
INSTALLATION = re.compile(
    r"""
    ^(?:(?:python3?[ ]-m[ ])?pip3?|pipx|uv|conda|mamba|pixi|apt-get|brew|git[ ]clone)[ ]
    (?:[^&\n]*[^&\n\\]|\\\n)*(?:&&[ ]*|$)
    """,
    re.MULTILINE | re.VERBOSE,
)


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    source: str
    continues: bool
    needs: tuple[str, ...]
    not_run: str
    prints: str

    def __str__(self):
        return f"{self.page}:{self.line}"

    @property
    def chooses_backend(self):
        """Whether it needs a process of its own, in which no other backend runs."""
        return bool(re.search(r"environ.*KERAS_BACKEND", self.source))

    @property
    def why_left_out(self):
        """Empty where the block can run here."""
        missing = [name for name in self.needs if find_spec(name) is None]
        return self.not_run or (missing and f"needs {', '.join(missing)}") or ""


def runnable(language, source):
    """The source without the prompts and output of a console, and without
    installations.
    """
    if language == "console":
        source = "\n".join(
            re.findall(r"^\$ ((?:[^\n]*\\\n(?:> )?)*[^\n]*)$", source, re.MULTILINE)
        )
    return INSTALLATION.sub("", source).strip() if language in SHELL else source


def read_blocks(page):
    """The blocks of Python and of the shell on a page, from top to bottom."""
    text, blocks = page.read_text(encoding="utf-8"), []
    for match in BLOCK.finditer(text):
        language = match["language"]
        source = runnable(language, textwrap.dedent(match["source"]))
        if language not in PYTHON | SHELL or not source:
            continue
        comments = dict(
            re.findall(r"<!-- *([a-z ]+?)(?:: *(.*?))? *-->", match["comments"])
        )
        printed = PRINTED.match(text, match.end())
        blocks.append(
            Block(
                page=page.relative_to(ROOT).as_posix(),
                line=text.count("\n", 0, match.start("source")),
                language="python" if language in PYTHON else "sh",
                source=source,
                continues="continues" in comments,
                needs=tuple(re.findall(r"[\w.]+", comments.get("needs", ""))),
                not_run=comments.get("not run", ""),
                prints=printed[1] if printed else "",
            )
        )
    return blocks
