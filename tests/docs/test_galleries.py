"""The scripts of the galleries keep to what CONTRIBUTING.md says of them."""

import ast
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
    lines = script.read_text().splitlines()
    assert len(lines) <= 60
    assert (
        ast.get_docstring(ast.parse(script.read_text()))
        .split("\n\n", 1)[1]
        .endswith(".")
    )


@pytest.mark.parametrize("script", TUTORIALS + PICTURES, ids=lambda script: script.stem)
def test_keras_is_imported_after_its_backend_was_settled(script):
    imports = [
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(script.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    packages = [name.split(".")[0] for name in imports]
    if "keras" in packages:
        assert "keras_tied" in packages[: packages.index("keras")]


@pytest.mark.parametrize("script", TUTORIALS + PICTURES, ids=lambda script: script.stem)
def test_what_a_script_refers_to_is_there(script):
    for place in script.read_text().split(":ref:`sphx_glr_")[1:]:
        folder, name = place.split("`")[0].split("_", 1)
        assert (EXAMPLES / folder / name).exists()
