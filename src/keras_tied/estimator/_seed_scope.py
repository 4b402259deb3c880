"""A scope in which Keras draws from generators of a seed."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import keras
import numpy as np


@contextmanager
def seed_scope(seed: int) -> Iterator[None]:
    """Seed the generators that Keras draws from, and set their states back at the end.

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
