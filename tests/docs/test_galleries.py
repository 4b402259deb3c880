"""The scripts of the galleries keep to what CONTRIBUTING.md says of them."""

import ast
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
TUTORIALS = sorted(EXAMPLES.glob("tutorials/*.py"))
PICTURES = sorted(EXAMPLES.glob("gallery/*.py"))


@pytest.mark.parametrize("script", TUTORIALS, ids=lambda script: script.stem)
def test_a_tutorial_asks_checks_and_leads_on(script):
    text = script.read_text()
    assert text.splitlines()[1].endswith("?")
    assert "\nassert " in text
    assert "# Read next\n" in text


@pytest.mark.parametrize("script", PICTURES, ids=lambda script: script.stem)
def test_a_picture_is_a_sentence_and_a_short_script(script):
    text = script.read_text()
    assert text.count("\n") <= 60
    _, sentence = ast.get_docstring(ast.parse(text)).split("\n\n", 1)
    assert sentence.endswith(".")


@pytest.mark.parametrize("script", TUTORIALS + PICTURES, ids=lambda script: script.stem)
def test_keras_is_imported_after_its_backend_was_settled(script):
    imports = re.compile(r"^ *(?:from|import) (\w+)", re.MULTILINE)
    packages = imports.findall(script.read_text())
    if "keras" in packages:
        assert "keras_tied" in packages[: packages.index("keras")]


@pytest.mark.parametrize("script", TUTORIALS + PICTURES, ids=lambda script: script.stem)
def test_what_a_script_refers_to_is_there(script):
    for place in script.read_text().split(":ref:`sphx_glr_")[1:]:
        folder, name = place.split("`")[0].split("_", 1)
        assert (EXAMPLES / folder / name).exists()
