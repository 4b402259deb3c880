"""A cache of compiled programs, by their text. See ../README.md."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

CAPACITY = 16  # programs in the cache; the least recently used one is removed first

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

programs: OrderedDict[tuple[str, bool, Any], Any] = OrderedDict()


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
    if key not in programs:
        options = FAST_OPTIONS if fast and jax.default_backend() == "cpu" else None
        try:
            programs[key] = program.compile(compiler_options=options)
        except jax.errors.JaxRuntimeError:
            if options is None:
                raise
            programs[key] = (
                program.compile()
            )  # a release of XLA without one of the options
    programs.move_to_end(key)
    while len(programs) > CAPACITY:
        programs.popitem(last=False)
    return programs[key]
