"""Run blocks of a page as a reader would who pastes them one after another.

The standard input has a list of them as JSON, each with a name, a language and a
source. Blocks of Python share this process, those of the shell this folder.
"""

import doctest
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


def main():
    blocks = json.load(sys.stdin)
    sys.stdout = sys.stderr  # which is shown where a block fails
    names = {"__name__": "__main__"}
    for place, language, source in blocks:
        print("--", place, flush=True)
        if language == "sh":
            subprocess.run(["bash", "-e", "-o", "pipefail", "-c", source], check=True)
        elif source.lstrip().startswith(">>>"):
            run_examples(source, names, place)
        else:
            exec(compile(source, place, "exec"), names)


main()
