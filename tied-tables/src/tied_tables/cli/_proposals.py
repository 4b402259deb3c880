"""What to type next, for a command line that cannot be run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any

import typer

from tied_tables._text import hide_secrets

MODEL_ENDINGS = (".safetensors",)
LEAST_SIMILARITY = 0.8  # how like an option another word is that is proposed
PLAIN_WORDS = {  # of Pydantic's errors
    "Value error, ": "",
    "Input should be a valid integer.*": "it must be a whole number",
    "Input should be a valid number.*": "it must be a number",
    "Input should be greater than or equal to": "it must be at least",
    "Input should be less than or equal to": "it must be at most",
    "Input should be greater than": "it must be above",
    "Input should be less than": "it must be below",
}


def propose_command(words: Sequence[str], names: Collection[str]) -> str:
    """Return the sentence for a first word that is no command."""
    first, *arguments = words
    near = get_close_matches(first, names, 1)
    what = (
        f"try {join([*near, *arguments])}" if near else "tied-tables --help lists all"
    )
    return f"there is no command {first!r}; {what}."


def propose_words(error: Any, words: Sequence[str], example: str) -> str:
    """Return what to type after Typer's error on what comes after a command."""
    wrong = getattr(error, "option_name", None) or ""
    possibilities = getattr(error, "possibilities", None) or []
    error.possibilities = None  # else its message lists them, too
    if near := get_close_matches(wrong, possibilities, 1, LEAST_SIMILARITY):
        name = re.compile(f"^{re.escape(wrong)}(?=$|=)")
        corrected_words = [name.sub(near[0], word) for word in words]
        return f"try {join(corrected_words)}"
    if not wrong and not isinstance(error, typer.BadParameter):
        return describe_files(example)
    command = [word for word in words[:1] if not word.startswith("-")]
    return f"example: {example}; see also {join([*command, '--help'])}"


def reword(message: str) -> str:
    """Return an error of Typer's in words for somebody who does not know Pydantic."""
    for pattern, words in PLAIN_WORDS.items():
        message = re.sub(pattern, words, message)
    return message


def describe_files(example: str) -> str:
    """Return which files to give to a command that was given others."""
    return (
        "give several tables as a pattern in quotes, such as '*.csv', and an output"
        f" file after -o, as in {example}"
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
    """Return a command line that can be pasted, without the secrets of addresses."""
    line = shlex.join(["tied-tables", *map(hide_secrets, words)])
    return line.encode(errors="backslashreplace").decode()
