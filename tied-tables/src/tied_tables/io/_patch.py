"""Copies of files in which some cells are new, and all else is as it was."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from io import TextIOWrapper
from typing import IO, Any, TypeAlias

Cells: TypeAlias = Mapping[str, Any]  # of a row: the new values, by column
# What writes a copy of a file to another, with new cells in its rows.
Patch: TypeAlias = Callable[[IO[bytes], Iterator[Cells]], None]
MEMBER = re.compile(r'[\s,]*("(?:[^"\\]|\\.)*")\s*:\s*')  # of JSON, up to its value
decode = json.JSONDecoder().raw_decode


def patch_text(
    encoding: str,
    split: Callable[[], Iterable[tuple[str, object | None]]],
    replace: Callable[[str, Cells], str],
    file: IO[bytes],
    rows: Iterator[Cells],
) -> None:
    """Write a copy of a text, given in parts, each with its row or None."""
    file.write("".encode(encoding))  # the mark of UTF-32
    output = TextIOWrapper(file, encoding, newline="")
    for text, row in split():
        if row is not None and (new := next(rows)):
            text = replace(text, new)
        output.write(text)
    output.detach()


def replace_members(text: str, new: Cells) -> str:
    """Return the text of a JSON object with new members, added where it lacks them."""
    write = partial(json.dumps, ensure_ascii=text.isascii())
    remaining = dict(new)
    begin = end = text.index("{") + 1
    parts = [text[:begin]]
    comma = ""
    while member := MEMBER.match(text, end):
        _, end = decode(text, member.end())
        name = json.loads(member[1])
        if name in remaining:
            parts += [text[begin : member.end()], write(remaining.pop(name))]
            begin = end
        comma = ", "
    parts.append(text[begin:end])
    for name, value in remaining.items():
        parts.append(f"{comma}{write(name)}: {write(value)}")
        comma = ", "
    return "".join(parts) + text[end:]
