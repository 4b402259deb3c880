"""The scripts of the galleries keep to what CONTRIBUTING.md says of them."""

import ast
import re
from pathlib import Path

from tests.marks import for_each

EXAMPLES = Path(__file__).parents[2] / "examples"
TUTORIALS = {path.stem: path for path in sorted(EXAMPLES.glob("tutorials/*.py"))}
PICTURES = {path.stem: path for path in sorted(EXAMPLES.glob("gallery/*.py"))}


@for_each(TUTORIALS, "script")
def test_a_tutorial_asks_checks_and_leads_on(script):
    text = script.read_text()
    assert text.splitlines()[1].endswith("?")
    assert "\nassert " in text
    assert "# Read next\n" in text


@for_each(PICTURES, "script")
def test_a_picture_is_a_sentence_and_a_short_script(script):
    text = script.read_text()
    assert text.count("\n") <= 60
    _, sentence = ast.get_docstring(ast.parse(text)).split("\n\n", 1)
    assert sentence.endswith(".")


@for_each(TUTORIALS | PICTURES, "script")
def test_keras_is_imported_after_its_backend_was_settled(script):
    text = script.read_text()
    packages = re.findall(r"^ *(?:from|import) (\w+)", text, re.MULTILINE)
    if "keras" in packages:
        assert "keras_tied" in packages[: packages.index("keras")]


@for_each(TUTORIALS | PICTURES, "script")
def test_what_a_script_refers_to_is_there(script):
    for place in script.read_text().split(":ref:`sphx_glr_")[1:]:
        folder, name = place.split("`")[0].split("_", 1)
        assert (EXAMPLES / folder / name).exists()
