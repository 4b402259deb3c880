"""Print the mass of both libraries in tokens, by folder, beside that of another commit.

A token is a name, a number, a string or a sign of Python or JavaScript. Comments,
docstrings, imports and ends of lines do not count, so neither packing nor explaining
changes the mass.

    python tools/weigh.py                        # tokens, and tokens a line
    python tools/weigh.py --against origin/main  # and the tokens of that commit
"""

import argparse
import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
TREES = ("keras-tied/src", "tied-tables/src", "keras-tied/tests", "tied-tables/tests")
TESTS = ("conftest.py", "tests")
SUFFIXES = (".py", ".js")
COUNTED = {tokenize.NAME, tokenize.NUMBER, tokenize.STRING, tokenize.OP}
SCRIPT_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
SCRIPT_TOKEN = re.compile(
    r"""`(?:\\.|[^`\\])*`|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""
    r"""|[A-Za-z_$][\w$]*|\d[\w.]*|=>|\.\.\.|[-+*/%&|^=!<>?]=+|&&|\|\||\?\?|\?\.|[^\s\w]"""
)


def is_left_out(node: ast.AST) -> bool:
    """Whether a statement is an import, or a string alone, as docstrings are."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return isinstance(node.value.value, str)
    return isinstance(node, ast.Import | ast.ImportFrom)


def weigh_python(source: str) -> list[int]:
    """The line of each token."""
    left_out: set[int] = set()
    for node in filter(is_left_out, ast.walk(ast.parse(source))):
        left_out.update(range(node.lineno, node.end_lineno + 1))
    lines = []
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        # Python 3.12 splits an f-string, which is one token here as it was before.
        depth -= kind == "FSTRING_END"
        is_string = kind == "FSTRING_START"
        if depth == 0 and (is_string or token.type in COUNTED):
            lines.append(token.start[0])
        depth += is_string
    return [line for line in lines if line not in left_out]


def weigh_script(source: str) -> list[int]:
    """The line of each token."""
    plain = SCRIPT_COMMENT.sub(lambda part: "\n" * part[0].count("\n"), source)
    lines = []
    for number, line in enumerate(plain.splitlines(), 1):
        if not line.lstrip().startswith("import "):
            lines += [number] * len(SCRIPT_TOKEN.findall(line))
    return lines


def read_commit(commit: str) -> Iterator[tuple[str, str]]:
    """The paths and texts of the sources in a commit."""
    command = ["git", "ls-tree", "-r", "--name-only", commit]
    listed = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    )
    for path in listed.stdout.splitlines():
        if is_source(path):
            command = ["git", "show", f"{commit}:{path}"]
            shown = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, check=True
            )
            yield path, shown.stdout


def read_checkout() -> Iterator[tuple[str, str]]:
    """The paths and texts of the sources that are here."""
    for suffix in SUFFIXES:
        for file in ROOT.rglob(f"*{suffix}"):
            path = file.relative_to(ROOT).as_posix()
            if is_source(path):
                yield path, file.read_text()


def is_source(path: str) -> bool:
    places = (*TREES, *TESTS)
    is_ours = any(path == place or path.startswith(f"{place}/") for place in places)
    return is_ours and path.endswith(SUFFIXES) and not path.endswith("/_tag.py")


def weigh(sources: Iterator[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """The tokens, and the lines that hold them, of each folder and tree."""
    masses: dict[str, tuple[int, int]] = {}
    for path, source in sources:
        lines = weigh_script(source) if path.endswith(".js") else weigh_python(source)
        for folder in list_folders(path):
            tokens, n_lines = masses.get(folder, (0, 0))
            masses[folder] = tokens + len(lines), n_lines + len(set(lines))
    return masses


def list_folders(path: str) -> list[str]:
    """The tree of a file, and its folder within the package."""
    parts = PurePosixPath(path).parts
    if parts[0] in TESTS:
        return ["tests"]
    tree = "/".join(parts[:2])
    if parts[1] == "tests" or len(parts) < 5:
        return [tree]
    return [tree, "/".join(parts[:4])]


def main() -> None:
    """Print a line for each folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", metavar="COMMIT")
    against = parser.parse_args().against
    now = weigh(read_checkout())
    before = {}
    if against:
        command = ["git", "rev-parse", "--verify", "--quiet", against]
        if subprocess.run(command, cwd=ROOT, capture_output=True, check=False).stdout:
            before = weigh(read_commit(against))
        else:
            print(f"there is no commit {against} here to compare with")
    for folder in sorted(now.keys() | before.keys()):
        tokens, lines = now.get(folder, (0, 0))
        density = tokens / max(lines, 1)
        line = f"{folder:40}{tokens:9,} tokens{density:6.1f} a line"
        if before:
            line += f"{before.get(folder, (0, 0))[0]:12,} in {against}"
        print(line)


if __name__ == "__main__":
    main()
