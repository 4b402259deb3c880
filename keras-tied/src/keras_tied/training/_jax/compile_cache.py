"""A cache of compiled programs, by their text. See ../README.md."""

import hashlib
from collections.abc import Callable
from typing import Any

import jax

CAPACITY = 16  # programs; the oldest one is removed first

programs: dict[Any, Any] = {}


def compile_program(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Compile a function, or take it from the cache."""
    program = jax.jit(function).lower(*arguments)
    text = program.as_text()  # with the numbers of its constants, all of them
    digest = hashlib.sha256(text.encode()).hexdigest()
    key = digest, program.in_tree, program.out_tree
    if key in programs:
        return programs[key]
    executable = program.compile()
    # A program names functions of Python by their places, not by what they are.
    if "callback" not in text:
        if len(programs) >= CAPACITY:
            programs.pop(next(iter(programs)))
        programs[key] = executable
    return executable
