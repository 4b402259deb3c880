import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def quick_garbage_collection() -> Iterator[None]:
    """Leave what is there by now out of garbage collections.

    Keras runs one whenever it removes a variable, as in every quantisation, and it takes a third of
    a second to go through the objects of the backends.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
