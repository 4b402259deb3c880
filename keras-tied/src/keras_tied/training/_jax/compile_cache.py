"""A cache of compiled programs, by their text. See ../README.md."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jax

CAPACITY = 16  # programs; the oldest one is removed first

# For CPUs: these compile in half to nine tenths of the time, to programs that may run
# longer.
FAST_OPTIONS: dict[str, Any] = {
    # Each kernel takes about 10 ms in the new emitters, whatever its size, and 2
    # without.
    "xla_cpu_use_fusion_emitters": False,
    "xla_backend_optimization_level": 1,
}

programs: dict[Any, Any] = {}


def compile_program(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    *,
    fast: bool = False,
) -> Any:
    """Compile a function, with `FAST_OPTIONS` or not, or take it from the cache."""
    program = jax.jit(function).lower(*arguments)
    text = program.as_text()  # with the numbers of its constants, all of them
    digest = hashlib.sha256(text.encode()).hexdigest()
    key = digest, fast, (program.in_tree, program.out_tree)
    if key in programs:
        return programs[key]
    executable = _compile(program, fast)
    # A program names functions of Python by their places, not by what they are.
    if "callback" not in text:
        if len(programs) >= CAPACITY:
            programs.pop(next(iter(programs)))
        programs[key] = executable
    return executable


def _compile(program: Any, fast: bool) -> Any:
    if fast and jax.default_backend() == "cpu":
        # A release of XLA without one of the options refuses them.
        with suppress(jax.errors.JaxRuntimeError):
            return program.compile(compiler_options=FAST_OPTIONS)
    return program.compile()
