"""How the mass of the code is counted."""

from tools.weigh import weigh_python, weigh_script


def test_tokens_are_counted_without_comments_docstrings_and_imports():
    source = '"""What it is."""\nimport os  # why\n\n\ndef f(x):\n    return x + 1\n'
    lines = weigh_python(source)
    assert (len(lines), len(set(lines))) == (10, 2)


def test_a_string_with_values_is_one_token():
    lines = weigh_python('x = f"{a + 1!r:>{width}} of {len(b)}"\n')
    assert (len(lines), len(set(lines))) == (3, 1)


def test_a_script_is_counted_without_comments_and_imports():
    source = 'import {a} from "./a.js";\n// why\nconst b = a ?? "c d";  /* so */\n'
    lines = weigh_script(source)
    assert (len(lines), len(set(lines))) == (7, 1)
