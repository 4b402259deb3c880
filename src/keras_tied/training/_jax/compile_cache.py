"""Compiled programs, kept by what they compute.

A network that is built and trained again, by a grid search or for each fold of a cross-validation,
is another model with another program in JAX's eyes; XLA would compile the same again, which for a
small network takes longer than the training.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

CAPACITY = 64
"""The most programs that are kept; the one that was used longest ago goes first."""

_programs: OrderedDict[tuple[str, Any], Any] = OrderedDict()


def compiled(
    function: Callable[..., Any], arguments: tuple[Any, ...], constants: Iterable[Any]
) -> Any:
    """The function compiled for arguments of these shapes.

    Args:
        function: what to compile.
        arguments: its arguments.
        constants: the arrays that are part of the function.
    """
    lowered = jax.jit(function).lower(*arguments)
    digest = hashlib.sha256(lowered.as_text().encode())
    for constant in constants:
        digest.update(np.asarray(constant).tobytes())
    key = digest.hexdigest(), (lowered.in_tree, lowered.out_tree)
    if key not in _programs:
        _programs[key] = lowered.compile()
    _programs.move_to_end(key)
    while len(_programs) > CAPACITY:
        _programs.popitem(last=False)
    return _programs[key]


def forget() -> None:
    """Keep no program any longer, so that the next is compiled anew."""
    _programs.clear()
