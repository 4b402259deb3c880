"""Run blocks of a page as a reader would who pastes them one after another.

The standard input has a list of them as JSON, each with a name, a language, a source
and, unless it is empty, the text that it must print. Blocks of Python share this
process, those of the shell this folder.
"""

import contextlib
import doctest
import io
import json
import subprocess
import sys


def run_examples(source, names, place):
    """Run a block with prompts, and compare what it prints with what it shows."""
    test = doctest.DocTestParser().get_doctest(source, names, place, None, None)
    failed = (
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        .run(test, clear_globs=False)
        .failed
    )
    if failed:
        raise SystemExit(f"{place}: the output differs from what the page shows")


def run_python(source, names, place, expected):
    """Run a block of Python, and compare what it prints with what the page shows."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, place, "exec"), names)
    print(printed.getvalue(), flush=True)
    if expected and strip_lines(printed.getvalue()) != strip_lines(expected):
        raise SystemExit(f"{place}: the output differs from what the page shows")


def strip_lines(text):
    return [line.rstrip() for line in text.strip().splitlines()]


def main():
    blocks = json.load(sys.stdin)
    sys.stdout = sys.stderr  # which is shown where a block fails
    names = {"__name__": "__main__"}
    for place, language, source, expected in blocks:
        print("--", place, flush=True)
        if language == "sh":
            subprocess.run(["bash", "-e", "-o", "pipefail", "-c", source], check=True)
        elif source.lstrip().startswith(">>>"):
            run_examples(source, names, place)
        else:
            run_python(source, names, place, expected)


main()
