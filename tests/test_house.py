"""Who may import whom; `lint-imports` checks the layers."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "keras_tied"
FILES = sorted(SOURCE.rglob("*.py"))


def imported_modules(file: Path) -> set[tuple[str, ...]]:
    """The modules of ours that a file imports, as paths below the package."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras_tied"):
            parts = tuple(node.module.split(".")[1:])
            for name in (alias.name for alias in node.names):
                place = SOURCE.joinpath(*parts, name)
                is_module = place.is_dir() or place.with_suffix(".py").exists()
                modules.add((*parts, name) if is_module else parts)
    return modules


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_no_package_imports_a_private_module_of_another(file):
    package = file.relative_to(SOURCE).parts[0]
    for module in imported_modules(file):
        if len(module) > 1 and module[0] != package:
            assert not any(part.startswith("_") for part in module[1:]), module


def test_only_one_file_touches_the_private_parts_of_keras():
    users = {
        file.relative_to(SOURCE).as_posix()
        for file in FILES
        if "keras.src" in file.read_text().replace('"keras.src.', "")
    }
    assert users == {"layers/_keras_internals.py"}
