"""How heavy the code is, in tokens, and how dense: whoever adds takes away.

A token is a name, a number, a string or a sign. Comments, docstrings, imports and ends
of lines do not count, so neither packing nor explaining changes the mass.
"""

import ast
import functools
import io
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TREES = [
    # tree, most tokens, most tokens a line
    ("src", 152_750, 8.4),
    ("tests", 150_000, 9.0),
    ("benchmarks", 19_900, 9.0),
]
MOST_A_LINE_OF_A_FILE = 10.5  # of `src`
FEWEST_LINES = 40  # of a file whose density is bound

COUNTED = {tokenize.NAME, tokenize.NUMBER, tokenize.STRING, tokenize.OP}


def is_left_out(node):
    """Whether a statement is an import, or a string alone, as docstrings are."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return isinstance(node.value.value, str)
    return isinstance(node, ast.Import | ast.ImportFrom)


def weigh(source):
    """The tokens of a source, and the lines that hold them."""
    left_out = set()
    for node in filter(is_left_out, ast.walk(ast.parse(source))):
        left_out.update(range(node.lineno, node.end_lineno + 1))
    lines, depth = [], 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        # Python 3.12 splits an f-string, which is one token here as it was before.
        depth -= kind == "FSTRING_END"
        is_string = kind == "FSTRING_START"
        if depth == 0 and (is_string or token.type in COUNTED):
            lines.append(token.start[0])
        depth += is_string
    lines = [line for line in lines if line not in left_out]
    return len(lines), len(set(lines))


@functools.cache
def weigh_tree(tree):
    """The tokens and lines of its files, but the version, which the build writes."""
    files = (ROOT / tree).rglob("*.py")
    return {file: weigh(file.read_text()) for file in files if file.name != "_tag.py"}


def test_tokens_are_counted_without_comments_docstrings_and_imports():
    source = '"""What it is."""\nimport os  # why\n\n\ndef f(x):\n    return x + 1\n'
    assert weigh(source) == (10, 2)


def test_a_string_with_values_is_one_token():
    assert weigh('x = f"{a + 1!r:>{width}} of {len(b)}"\n') == (3, 1)


@pytest.mark.parametrize(("tree", "most_tokens", "most_a_line"), TREES)
def test_mass_and_density_are_within_their_bounds(tree, most_tokens, most_a_line):
    tokens, lines = map(sum, zip(*weigh_tree(tree).values(), strict=True))
    assert tokens <= most_tokens
    assert tokens / lines <= most_a_line


def test_no_file_is_dense():
    dense = {
        str(file): tokens / lines
        for file, (tokens, lines) in weigh_tree("src").items()
        if lines >= FEWEST_LINES and tokens > MOST_A_LINE_OF_A_FILE * lines
    }
    assert not dense
