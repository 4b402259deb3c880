"""How heavy the code is, in tokens, and how dense: whoever adds takes away.

A token is a name, a number, a string or a sign. Comments, docstrings, imports and ends
of lines do not count, so neither packing nor explaining changes the mass.
"""

import ast
import io
import tokenize
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "keras_tied"
FILES = sorted(file for file in SOURCE.rglob("*.py") if file.name != "_tag.py")

MOST_TOKENS = 161_500
MOST_A_LINE = 8.4
MOST_A_LINE_OF_A_FILE = 10.5

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


WEIGHTS = {file: weigh(file.read_text()) for file in FILES}


def test_tokens_are_counted_without_comments_docstrings_and_imports():
    source = '"""What it is."""\nimport os  # why\n\n\ndef f(x):\n    return x + 1\n'
    assert weigh(source) == (10, 2)


def test_a_string_with_values_is_one_token():
    assert weigh('x = f"{a + 1!r:>{width}} of {len(b)}"\n') == (3, 1)


def test_the_mass_is_within_its_bound():
    assert sum(tokens for tokens, _ in WEIGHTS.values()) <= MOST_TOKENS


def test_the_density_is_within_its_bound():
    tokens, lines = map(sum, zip(*WEIGHTS.values(), strict=True))
    assert tokens / lines <= MOST_A_LINE


def test_no_file_is_dense():
    dense = {
        str(file.relative_to(SOURCE)): tokens / lines
        for file, (tokens, lines) in WEIGHTS.items()
        if lines >= FEWEST_LINES and tokens > MOST_A_LINE_OF_A_FILE * lines
    }
    assert not dense
