"""The scripts of the galleries keep to what CONTRIBUTING.md says of them."""

import re
from pathlib import Path

from tests.marks import for_each

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = {path.stem: path for path in sorted(EXAMPLES.glob("[gt]*/*.py"))}


@for_each(SCRIPTS, "script")
def test_keras_is_imported_after_its_backend_was_settled(script):
    text = script.read_text()
    packages = re.findall(r"^ *(?:from|import) (\w+)", text, re.MULTILINE)
    if "keras" in packages:
        assert "keras_tied" in packages[: packages.index("keras")]


@for_each(SCRIPTS, "script")
def test_what_a_script_refers_to_is_there(script):
    for place in script.read_text().split(":ref:`sphx_glr_")[1:]:
        folder, name = place.split("`")[0].split("_", 1)
        assert (EXAMPLES / folder / name).exists()
