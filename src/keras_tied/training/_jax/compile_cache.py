"""A cache of compiled programs, by their text. See ../README.md."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import jax
import numpy as np

CAPACITY = 16  # programs; the least recently used one is removed first

FAST_OPTIONS: dict[
    str, Any
] = {  # for CPUs: compile in half of the time, to slower programs
    # Ready kernels for most element-wise operations and reductions, which then compile
    # nothing.
    "xla_cpu_experimental_ynn_fusion_type": ",".join(
        f"LIBRARY_FUSION_TYPE_{kind}" for kind in ("DOT", "ELTWISE", "REDUCE")
    ),
    # Each other kernel takes about 10 ms in the new emitters, whatever its size, and 2
    # without.
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
    "xla_backend_optimization_level": 1,
}


class Programs(OrderedDict[Any, Any]):
    """Programs by their keys, the last used one last."""

    def find(self, key: Any, make: Callable[[], Any]) -> Any:
        """The program of a key, which is made where it is not there."""
        if key not in self:
            self[key] = make()
        self.move_to_end(key)
        if len(self) > CAPACITY:
            self.popitem(last=False)
        return self[key]


programs = Programs()


def compile_program(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    constants: Iterable[Any],
    *,
    fast: bool = False,
) -> Any:
    """Compile a function with these constants, or take it from the cache."""
    program = jax.jit(function).lower(*arguments)
    digest = hashlib.sha256(program.as_text().encode())
    for constant in constants:
        digest.update(np.asarray(constant).tobytes())
    key = digest.hexdigest(), fast, (program.in_tree, program.out_tree)

    def make() -> Any:
        if fast and jax.default_backend() == "cpu":
            # A release of XLA without one of the options refuses them.
            with suppress(jax.errors.JaxRuntimeError):
                return program.compile(compiler_options=FAST_OPTIONS)
        return program.compile()

    # A program names functions of Python by their places, not by what they are.
    return make() if "callback" in program.as_text() else programs.find(key, make)
