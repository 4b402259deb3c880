"""Run commands in a terminal of some widths, and count how its lines read.

    python tools/terminal.py TABLE... [--columns 60,80,120] [--show] [--fail]

Each table goes through check, fit (a short one), score, corrections, fill and inspect.
For each width it prints the lines that a terminal shows, the broken words, and the
broken options among these. A word is broken where a wide line ends, or if the same
command does not print it in a very wide terminal. A command to be copied that has a
line of its own is not broken: it is copied as it is printed. `--show` prints the
screens; `--fail` ends with the exit code 1 if a word is broken. Needs Linux or macOS.
"""

import argparse
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

WIDE = 5_000  # columns, in which no line is wrapped
MODEL = "m.safetensors"
LINES = (
    "check {table}",
    f"fit {{table}} -o {MODEL} --epochs 9",
    f"score {MODEL} {{table}}",
    f"corrections {MODEL} {{table}}",
    f"fill {MODEL} {{table}} -o filled-{{table}}",
    f"inspect {MODEL}",
)
DRAWING = "─━│╭╮╰╯┃"  # of tables
VARIES = re.compile(r"\d{4}-\d\d-\d\dT\S+|\b\d+\.\d+ s\b|seconds +\S+")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--columns", default="60,80,120")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--fail", action="store_true")
    given = parser.parse_args()
    widths = list(map(int, given.columns.split(",")))
    totals = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for table in given.tables:
            shutil.copy(table, folder)
            for line in LINES:
                command = line.format(table=table.name)
                words = split_words(run(command, WIDE, folder))
                for width in widths:
                    screen = run(command, width, folder)
                    if given.show:
                        print(
                            f"$ tied-tables {command}    # {width}", *screen, sep="\n"
                        )
                    counts = count(screen, words, width)
                    report(f"{command:60} {width:4}", counts)
                    for name, number in counts.items():
                        totals[width, command.split()[0], name] += number
    for width in widths:
        for command in dict.fromkeys(line.split()[0] for line in LINES):
            names = ("lines", "broken words", "broken options")
            counts = {name: totals[width, command, name] for name in names}
            report(f"all {command:12} {width:4}", counts)
    n_broken = sum(totals[key] for key in totals if key[2] == "broken words")
    sys.exit(bool(given.fail and n_broken))


def report(what, counts):
    print(what, *(f"{name} {number}" for name, number in counts.items()), sep="  ")


def count(screen, words, width):
    """Count the lines that a terminal shows, and the words that are broken there."""
    broken = [word for word in split_words(screen) if word not in words]
    for line in screen:
        broken += find_cut_words(line, width)
    return {
        "lines": sum(max(1, -(-len(line) // width)) for line in screen),
        "broken words": len(broken),
        "broken options": sum(word.startswith("--") for word in broken),
    }


def find_cut_words(line, width):
    """Return the words of a line that a terminal breaks, unless it is one command."""
    if re.match(r" *(tied-tables|pip) [^:]", line):
        return []
    return [
        word.group()
        for word in re.finditer(r"\S+", line)
        if word.start() // width < (word.end() - 1) // width
    ]


def split_words(screen):
    """Return the words of a screen, without lines of tables and what varies."""
    text = VARIES.sub("", " ".join(line.translate(BLANKS) for line in screen))
    return text.split()


BLANKS = dict.fromkeys(map(ord, DRAWING), " ")


def run(command, width, folder):
    """Run a command in a terminal; return the lines that stand there at its end."""
    environment = {**os.environ, "COLUMNS": str(width), "TERM": "xterm"}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tied_tables", *command.split()],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=environment,
    )
    os.close(theirs)
    output = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # the terminal is closed
            break
        if not part:
            break
        output += part
    os.close(ours)
    process.wait()
    return read_screen(output.decode())


def read_screen(text):
    """Apply the codes that move the cursor up and erase lines, as a bar prints."""
    lines, place = [""], 0
    for token in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if token == "\n":
            place += 1
            lines += [""] * (place == len(lines))
        elif re.fullmatch(r"\x1b\[\d*A", token):
            place = max(0, place - int(token[2:-1] or 1))
        elif token == "\x1b[2K":
            lines[place] = ""
        elif token not in "\r" and not token.startswith("\x1b"):
            lines[place] += token
    while lines and not lines[-1]:
        lines.pop()
    return [line.rstrip() for line in lines]


if __name__ == "__main__":
    main()
