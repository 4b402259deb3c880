"""What to type next, for a command line that cannot be run."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer

MODEL_ENDINGS = ".safetensors", ".keras"
# What people call a command or an option who know other programs.
OTHER_NAMES = {
    "check": "describe summary summarize profile validate head columns",
    "fit": "train learn",
    "encode": "transform reduce embed pca",
    "fill": "impute clean repair",
    "score": "predict detect find outliers anomalies odd",
    "corrections": "errors mistakes correct duplicates typos misspellings",
    "report": "html explore open view drift compare",
    "plot": "draw figure",
    "inspect": "show info",
    "export": "onnx convert save",
    "--version": "version -v -V",
    "--delimiter": "--sep --separator",
    "--label": "--colour --color --target",
    "--components": "--latent-dim --dim -k",
    "--threshold": "--cutoff",
    "--top": "-n --head --limit",
    "--fail-on-drift": "--drift --fail --strict",
    "--output": "--out --file --model",
}


def find_near(word: str, names: Iterable[str]) -> str | None:
    """Return the name that a word means: by another program's, or nearly spelt."""
    plain = {name.lstrip("-"): name for name in names}
    for name in plain.values():
        if word in OTHER_NAMES.get(name, "").split():
            return name
    near = get_close_matches(word.lstrip("-"), plain, 1, cutoff=0.7)
    return plain[near[0]] if near else None


def find_file(path: str | Path) -> str | None:
    """Return the path of a file with nearly the name of one that is not there."""
    folder, name = os.path.split(path)
    with suppress(OSError):
        near = get_close_matches(name, os.listdir(folder or os.curdir), 1)
        return os.path.join(folder, near[0]) if near else None
    return None


def propose_command(words: Sequence[str], names: Collection[str]) -> str:
    """Return the sentence for a first word that is no command."""
    first, *others = words
    near = find_near(first, [*names, "--version"]) or find_file(first)
    what = f"write {join([near, *others])}" if near else "keras-tied --help lists all"
    return f"there is no command {first!r}; {what}."


def propose_words(error: Any, words: Sequence[str], example: str) -> str:
    """Return what to type after Typer's error on what comes after a command."""
    wrong = getattr(error, "option_name", None)
    if wrong is not None and error.ctx is not None:
        error.possibilities = None  # which are spelt alike, and not meant
        options = [name for each in error.ctx.command.params for name in each.opts]
        if near := find_near(wrong, options):
            name = re.compile(f"^{re.escape(wrong)}(?=$|=)")
            others = [name.sub(near, word) for word in words]
            return f"write {join(others)}"
    elif isinstance(error, typer.BadParameter):
        output = example.partition(" -o ")[2]
        has_model = any(word.endswith(MODEL_ENDINGS) for word in words)
        if output and "--output" in str(error.format_message()):
            if len(words) > 2 and not has_model:  # there may be two tables
                return describe_files(example)
            return f"write {join([*words, '-o', output])}"
    elif wrong is None:
        return describe_files(example)
    command = [word for word in words[:1] if not word.startswith("-")]
    return f"write it as in {example}, or see {join([*command, '--help'])}"


def describe_files(example: str) -> str:
    """Return which files to give to a command that was given others."""
    return (
        "give one file, or a pattern in quotes such as '*.csv', and what is written"
        f" after -o, as in {example}"
    )


def write_use(file: str, example: str) -> str:
    """Return the line of an example with a file in it, or "" if it has no place."""
    is_model = file.endswith(MODEL_ENDINGS)
    place = "model.safetensors" if is_model else "rows.csv"
    if place not in example:
        return ""
    line = example if is_model else example.replace("model.safetensors ", "")
    return line.replace(place, shlex.quote(file))


def join(words: Sequence[str]) -> str:
    """Return a command line that can be pasted."""
    return shlex.join(["keras-tied", *words])
