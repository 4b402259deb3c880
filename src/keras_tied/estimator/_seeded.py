"""Random numbers that are the same each time, and leave the caller's alone."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import keras
import numpy as np


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let Keras draw from generators of this seed, and give back the old ones afterwards.

    Keras orders rows with NumPy's global generator, on PyTorch with that of PyTorch, and seeds
    its layers with Python's.
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with ExitStack() as stack:
        if keras.backend.backend() == "torch":
            import torch

            stack.enter_context(torch.random.fork_rng())
            torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
