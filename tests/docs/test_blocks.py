"""Every block of the README and of the documentation runs, as a reader would paste it.

In page order: all blocks of a page, one after another, in one process. Alone: in a new
process, for each block that does not continue the one before; the first of a page has
been alone already.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.marks import slow
from tests.processes import run_python

from .blocks import PAGES, ROOT, read_blocks

pytestmark = slow

RUNNER = Path(__file__).with_name("run_blocks.py")
BLOCKS = {page: blocks for page in PAGES if (blocks := read_blocks(page))}
ALONE = [
    block for blocks in BLOCKS.values() for block in blocks[1:] if not block.continues
]


@pytest.fixture(scope="session")
def clients(tmp_path_factory):
    """The table that the pages begin with."""
    path = tmp_path_factory.mktemp("clients") / "clients.csv"
    subprocess.run(["tied-tables", "sample", "--quiet", str(path)], check=True)
    return path


@pytest.fixture
def run(tmp_path, clients, monkeypatch):
    """Runs blocks in an empty folder but for the table, by a user who has set no
    backend.
    """
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    environment = {"KERAS_HOME": str(tmp_path / ".keras"), "MPLBACKEND": "agg"}
    folder = tmp_path / "here"
    folder.mkdir()
    shutil.copy(clients, folder)

    def run_blocks(blocks):
        parts = [
            [str(block), block.language, block.source, block.prints] for block in blocks
        ]
        run_python(RUNNER, input=json.dumps(parts), cwd=folder, environment=environment)

    return run_blocks


def choose_runnable(blocks):
    """Leave out what cannot run here, with what continues it."""
    chosen = []
    is_left_out = False
    for block in blocks:
        runs_alone = block.chooses_backend and block is not blocks[0]
        is_left_out = bool(block.why_left_out or runs_alone) or (
            block.continues and is_left_out
        )
        if not is_left_out:
            chosen.append(block)
    return chosen


@pytest.mark.parametrize(
    "page", BLOCKS, ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_blocks_run_in_page_order(page, run):
    if blocks := choose_runnable(BLOCKS[page]):
        run(blocks)


@pytest.mark.parametrize("block", ALONE, ids=str)
def test_block_runs_alone(block, run):
    if block.why_left_out:
        pytest.skip(block.why_left_out)
    run([block])
