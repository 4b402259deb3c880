"""Do the tests bite? Plants faults in the code, and runs the tests that reach each.

A fault is a comparison turned, a condition negated, a constant moved, an operator or
two arguments swapped, a statement or a result left out. The seed and the sources decide
which are taken: the same on each run.

    python tools/faults.py map                        # which test reaches which line
    python tools/faults.py run --count 300 --seed 42 --out faults.json

Works on a copy of the checkout, which it makes under --scratch.
"""

import argparse
import ast
import collections
import copy
import json
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from coverage.numbits import numbits_to_nums

ROOT = Path(__file__).parents[1]
TREES = "keras-tied/src/keras_tied", "tied-tables/src/tied_tables"
TURNED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
}
SHORT = 0.003  # seconds of a test that the list of durations leaves out
RCFILE = """\
[run]
branch = true
parallel = true
data_file = {scratch}/coverage/data
source =
    {tree}/keras-tied/src/keras_tied
    {tree}/tied-tables/src/tied_tables
context = ${{PYTEST_CURRENT_TEST-}}
patch = subprocess
"""


class Fault(NamedTuple):
    """One place of the code and what stands there instead."""

    path: str
    line: int
    kind: str
    before: str
    after: str
    places: list[tuple[int, int]]
    """The first and last line of its statement, its function, its class and the file:
    a default or a constant of a module has no test of its own.
    """
    source: str
    """The whole file, with the fault."""


def find_nodes(tree: ast.Module) -> Iterator[ast.stmt | ast.expr]:
    """The statements and expressions that run, which annotations do not."""
    ignored: set[int] = set()
    for node in ast.walk(tree):
        left_out = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            left_out = [node]
        for part in filter(None, left_out):
            ignored.update(map(id, ast.walk(part)))
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.expr) and id(node) not in ignored:
            yield node


def find_faults(path: Path, root: Path) -> Iterator[Callable[[], Fault]]:
    """The faults that one file can have; each is made when it is called."""
    text = path.read_text()
    tree = ast.parse(text)
    name = str(path.relative_to(root))
    for node in find_nodes(tree):
        for kind, changed in _change(node):
            yield partial(make_fault, name, text, tree, node, kind, changed)


def make_fault(
    name: str,
    text: str,
    tree: ast.Module,
    node: ast.stmt | ast.expr,
    kind: str,
    changed: ast.AST,
) -> Fault:
    """A file with one node changed."""
    after = ast.unparse(changed)
    if isinstance(node, ast.expr):
        after = f"({after})"
    # Columns are counted in bytes.
    source = text.encode()
    lines = source.splitlines(keepends=True)
    before_start = sum(map(len, lines[: node.lineno - 1]))
    before_end = sum(map(len, lines[: node.end_lineno - 1]))
    start = before_start + node.col_offset
    end = before_end + node.end_col_offset
    planted = source[:start] + after.encode() + source[end:]
    return Fault(
        name,
        node.lineno,
        kind,
        source[start:end].decode(),
        after,
        find_places(tree, node),
        planted.decode(),
    )


def find_places(tree: ast.Module, node: ast.AST) -> list[tuple[int, int]]:
    """Lines of the statements around a node, from the innermost to the file."""
    around = [
        statement
        for statement in ast.walk(tree)
        if isinstance(statement, ast.stmt)
        and statement.lineno <= node.lineno
        and node.end_lineno <= statement.end_lineno
    ]
    around.sort(key=lambda statement: statement.end_lineno - statement.lineno)
    places = []
    for statement in around:
        # Of a statement that holds others, its own head.
        blocks = getattr(statement, "body", [])
        last = statement.end_lineno
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            places.append((statement.lineno, last))
        elif not blocks or node.lineno < blocks[0].lineno:
            places.append((statement.lineno, blocks[0].lineno - 1 if blocks else last))
    return [*places, (1, 10**6)]


def read_passed(scratch: Path) -> set[str]:
    """The names of the tests that pass without a fault."""
    passed = re.compile(r"PASSED (tests/.*?) *$", re.M)
    return set(passed.findall((scratch / "map.log").read_text()))


def find_tests(fault: Fault, reached: dict[tuple[str, int], set[str]]) -> set[str]:
    """The tests that reach its statement, or else what is around it."""
    for first, last in fault.places:
        tests: set[str] = set()
        for (path, line), names in reached.items():
            if path == fault.path and first <= line <= last:
                tests |= names
        if tests:
            return tests
    return set()


def _change(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What a node can be changed to, by kind of fault."""
    new = copy.deepcopy(node)
    match new:
        case ast.Compare(ops=[operator, *_]) if type(operator) in TURNED:
            new.ops[0] = TURNED[type(operator)]()
            yield "comparison turned", new
        case ast.BoolOp() | ast.BinOp() if type(new.op) in TURNED:
            new.op = TURNED[type(new.op)]()
            yield "operator swapped", new
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield "sign left out", new.operand
        case ast.IfExp():
            new.test = ast.UnaryOp(ast.Not(), new.test)
            yield "condition negated", new
        case ast.Constant(value=bool()):
            new.value = not new.value
            yield "constant moved", new
        case ast.Constant(value=int()):
            new.value += 1
            yield "constant moved", new
        case ast.Constant(value=float()):
            new.value = 2 * new.value or 1.0
            yield "constant moved", new
        case ast.Call(args=[ast.expr() as first, ast.expr() as second, *_]) if not (
            isinstance(first, ast.Starred) or isinstance(second, ast.Starred)
        ):
            new.args[:2] = [second, first]
            yield "arguments swapped", new
        case ast.Return(value=ast.expr()) if not isinstance(new.value, ast.Constant):
            yield "result left out", ast.Return(None)
        case ast.Raise() | ast.Continue() | ast.Break() | ast.AugAssign():
            yield "statement left out", ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "statement left out", ast.Pass()
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom() | ast.Await()):
            yield "statement left out", ast.Pass()


def choose(root: Path, count: int, seed: int, under: str) -> list[Fault]:
    files = sorted(path for tree in TREES for path in (root / tree).rglob("*.py"))
    makers = [
        make
        for path in files
        if path.name != "_tag.py" and under in str(path.relative_to(root))
        for make in find_faults(path, root)
    ]
    chosen = random.Random(seed).sample(makers, min(count, len(makers)))
    return [make() for make in chosen]


def copy_tree(scratch: Path, name: str) -> Path:
    """A copy of the checkout, beside the folder of data `shared` if there is one."""
    tree = scratch / name
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    versions = [f"{tree}/_tag.py" for tree in TREES]
    for file in [*listed.stdout.split("\0")[:-1], *versions]:
        if (ROOT / file).exists():
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, tree / file)
    shared = ROOT.parent / "shared"
    if shared.exists() and not (scratch / "shared").exists():
        (scratch / "shared").symlink_to(shared)
    return tree


def environment(tree: Path) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(str((tree / each).parent) for each in TREES),
        "PYTHONDONTWRITEBYTECODE": "1",
        "JAX_COMPILATION_CACHE_DIR": str(tree.parent / "jax"),
    }


def map_tests(scratch: Path, tests: list[str]) -> None:
    """Run the quick tests once, and note the lines that each of them reaches."""
    tree = copy_tree(scratch, "mapped")
    shutil.rmtree(scratch / "coverage", ignore_errors=True)
    (scratch / "coverage").mkdir()
    rcfile = scratch / "rc"
    rcfile.write_text(RCFILE.format(scratch=scratch, tree=tree))
    command = [sys.executable, "-m", "pytest", "-n", "2", "-vv", "--cov"]
    command += [f"--cov-config={rcfile}", "--cov-context=test", "--cov-report="]
    command += ["--durations=0", "--durations-min=0.005", *tests]
    with (scratch / "map.log").open("w") as log:
        subprocess.run(
            command, cwd=tree, env=environment(tree), stdout=log, check=False
        )


def read_map(scratch: Path) -> tuple[dict[tuple[str, int], set[str]], dict[str, float]]:
    """The tests that reach each line, and the seconds of each test."""
    seconds: dict[str, float] = collections.defaultdict(float)
    outcome = re.compile(r"^ *([\d.]+)s (?:call|setup) +(tests/.*)$")
    for line in (scratch / "map.log").read_text().splitlines():
        if found := outcome.match(line):
            seconds[found[2].strip()] += float(found[1])
    reached: dict[tuple[str, int], set[str]] = collections.defaultdict(set)
    for data in (scratch / "coverage").glob("data*"):
        for path, number, context in read_lines(data):
            # Of pytest's own variable, and of pytest-cov.
            name = re.sub(r" \((call|setup|teardown)\)$", "", context)
            name = re.sub(r"\|(run|setup|teardown)$", "", name)
            if name.startswith("tests/"):
                reached[path, number].add(name)
    return reached, seconds


def read_lines(data: Path) -> Iterator[tuple[str, int, str]]:
    """The lines of a file of coverage's: path, number and context."""
    with sqlite3.connect(data) as base:
        contexts = dict(base.execute("select id, context from context"))
        files = dict(base.execute("select id, path from file"))
        lines = set()
        for file, context, *ends in base.execute(
            "select file_id, context_id, fromno, tono from arc"
        ):
            lines |= {(file, context, abs(end)) for end in ends}
        for file, context, bits in base.execute("select * from line_bits"):
            lines |= {(file, context, number) for number in numbits_to_nums(bits)}
    for file, context, number in lines:
        path = files[file].partition("/src/")[2]
        yield f"src/{path}", number, contexts[context]


def order(
    tests: set[str], seconds: dict[str, float], path: str, budget: float
) -> list[str]:
    """Tests by module, those of the same folder first and then the shortest, as many as
    fit the seconds.
    """
    folder = Path(path).parts[2].removesuffix(".py").lstrip("_")
    modules: dict[str, list[str]] = collections.defaultdict(list)
    for test in sorted(tests):
        modules[test.partition("::")[0]].append(test)
    taken: list[str] = []
    spent = 0.0

    def measure_distance(item: tuple[str, list[str]]) -> tuple[bool, float]:
        module, names = item
        return folder not in module, sum(seconds.get(name, SHORT) for name in names)

    for _, names in sorted(modules.items(), key=measure_distance):
        for test in names:
            cost = seconds.get(test, SHORT)
            if spent + cost <= budget:
                spent += cost
                taken.append(test)
    return taken


def run_faults(args: argparse.Namespace) -> None:
    scratch = args.scratch
    tree = copy_tree(scratch, f"planted-{args.part[0]}")
    os.environ.update(environment(tree))
    os.chdir(tree)
    sys.path.insert(0, str(tree / "src"))
    reached, seconds = read_map(scratch)
    passed = read_passed(scratch)
    faults = choose(tree, args.count, args.seed, args.under)
    part, parts = args.part
    warm_up()
    found, by = run_tests(["tests/test_backend.py"], args.budget, scratch)
    if found != "survived":
        raise RuntimeError(f"a test fails without a fault: {by or found}")
    results: list[dict[str, Any]] = []
    if args.out.exists():  # go on
        results = json.loads(args.out.read_text())
    done = {result["number"] for result in results}
    for number, fault in enumerate(faults):
        if number % parts != part or number in done:
            continue
        began = time.perf_counter()
        reaching = find_tests(fault, reached) & passed
        tests = order(reaching, seconds, fault.path, args.budget)
        file = tree / fault.path
        sound = file.read_text()
        try:
            file.write_text(fault.source)
            found, by = "no test reaches it", ""
            if tests:
                found, by = run_tests(tests, args.budget, scratch)
        finally:
            file.write_text(sound)
        took = time.perf_counter() - began
        print(f"{number:3} {found:18} {took:5.1f} s  {len(tests):4} tests  ", end="")
        print(f"{fault.path}:{fault.line}  {fault.kind}", flush=True)
        results.append(
            {
                "number": number,
                "found": found,
                "by": by,
                **fault._asdict(),
                "tests": len(tests),
            }
        )
        del results[-1]["source"], results[-1]["places"]
        args.out.write_text(json.dumps(results, indent=1))
    caught = sum(result["found"].startswith("caught") for result in results)
    print(f"{caught} of {len(results)} caught")


def warm_up() -> None:
    """Import once what every test imports: each fault has a fork of this process."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    for name in ("keras", "pandas", "polars", "sklearn.pipeline"):
        __import__(name)


def run_tests(tests: list[str], budget: float, scratch: Path) -> tuple[str, str]:
    """What a fork of this process finds with these tests, and the test that fails."""
    printed = scratch / f"printed-{os.getpid()}.txt"
    child = os.fork()
    if not child:
        os.setsid()
        seconds = int(2 * budget + 30)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        output = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        options = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider"]
        os._exit(int(pytest.main([*options, *tests])))
    limit = time.monotonic() + 10 * budget + 60
    while time.monotonic() < limit:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code == 0:
                return "survived", ""
            named = re.search(r"^(?:FAILED|ERROR) (.*)$", printed.read_text(), re.M)
            return f"caught ({code})", named[1] if named else ""
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "caught (endless)", ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["map", "run", "list"])
    parser.add_argument("--scratch", type=Path, default=ROOT / ".faults")
    parser.add_argument("--tests", nargs="*", default=[], help="of map; all by default")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--under", default="", help="a part of the path of the sources")
    parser.add_argument("--budget", type=float, default=60, help="seconds a fault")
    parser.add_argument("--part", type=lambda text: [*map(int, text.split("/"))])
    parser.add_argument("--out", type=Path, default=Path("faults.json"))
    args = parser.parse_args()
    args.scratch = args.scratch.absolute()
    args.out = args.out.absolute()
    args.part = args.part or [0, 1]
    if args.verb == "map":
        map_tests(args.scratch, args.tests)
    elif args.verb == "run":
        run_faults(args)
    else:
        for fault in choose(ROOT, args.count, args.seed, args.under):
            print(f"{fault.path}:{fault.line}: {fault.kind}: {fault.before[:60]!r}")


if __name__ == "__main__":
    main()
