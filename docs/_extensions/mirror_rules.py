"""The directive `mirror-rules`: the table of the layers that `mirror` knows, from the
code.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from keras_tied.autoencoder._mirror_rules import RULES


def rules_table() -> str:
    """One row for each rule, in the order of their definition: encoder layers, and the
    mirror.
    """
    classes: dict[Any, list[str]] = {}
    for layer, entry in RULES.items():
        classes.setdefault(entry.rule, []).append(f"`{layer.__name__}`")
    rows = [
        f"| {', '.join(dict.fromkeys(names))} | {(rule.__doc__ or '').splitlines()[0]} |"
        for rule, names in classes.items()
    ]
    return "\n".join(["| in the encoder | in the decoder |", "| --- | --- |", *rows])


class MirrorRules(SphinxDirective):
    """Puts the table where a page asks for it."""

    def run(self) -> list[nodes.Node]:
        """Parse the table as the Markdown of the page that it stands in."""
        return self.parse_text_to_nodes(rules_table())


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("mirror-rules", MirrorRules)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
