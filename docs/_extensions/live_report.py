"""The directive `live-report`: the report of the sample table, in a frame that loads
lazily.

The report is what the commands of the start page write. It is made once, before the site is built.
"""

import subprocess
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FOLDER = Path(__file__).parents[1] / "_live"
REPORT = FOLDER / "clients.html"
FRAME = """<iframe class="live-report" src="{url}" loading="lazy"
title="The report of clients.csv"></iframe>
<p class="live-report-link"><a href="{url}">Open the report alone</a></p>"""


class LiveReport(SphinxDirective):
    """Puts the report where a page asks for it."""

    def run(self) -> list[nodes.Node]:
        """Write the frame; the file lies at the root of the site."""
        up = "../" * self.env.docname.count("/")
        return [nodes.raw("", FRAME.format(url=up + REPORT.name), format="html")]


def write_report(app: Sphinx) -> None:
    """Run the commands of the start page."""
    if REPORT.exists():
        return
    for arguments in (
        "sample clients.csv",
        "fit clients.csv -o model.safetensors",
        "report model.safetensors clients.csv -o clients.html",
    ):
        command = [sys.executable, "-m", "tied_tables", *arguments.split(), "--quiet"]
        subprocess.run(command, cwd=FOLDER, check=True)
    (FOLDER / "model.safetensors").unlink()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive; Sphinx looks for the folder before it builds."""
    FOLDER.mkdir(exist_ok=True)
    app.add_directive("live-report", LiveReport)
    app.connect("builder-inited", write_report)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
