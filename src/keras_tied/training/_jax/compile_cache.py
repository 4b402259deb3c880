"""A cache of compiled programs, by their text.

JAX compiles a program anew for each new model, also for one like an earlier one, as a grid search
and a cross-validation build. For a small network that takes longer than the training.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

CAPACITY = 64
"""The most programs in the cache; the least recently used one is removed first."""

_programs: OrderedDict[tuple[str, Any], Any] = OrderedDict()


def compile_program(
    function: Callable[..., Any], arguments: tuple[Any, ...], constants: Iterable[Any]
) -> Any:
    """Compile a function for arguments of these shapes, or take it from the cache.

    Args:
        function: what to compile.
        arguments: its arguments.
        constants: the arrays that are part of the function.
    """
    program = jax.jit(function).lower(*arguments)
    digest = hashlib.sha256(program.as_text().encode())
    for constant in constants:
        digest.update(np.asarray(constant).tobytes())
    key = digest.hexdigest(), (program.in_tree, program.out_tree)
    if key not in _programs:
        _programs[key] = program.compile()
    _programs.move_to_end(key)
    while len(_programs) > CAPACITY:
        _programs.popitem(last=False)
    return _programs[key]


def forget() -> None:
    """Empty the cache, so that the next program is compiled anew."""
    _programs.clear()
