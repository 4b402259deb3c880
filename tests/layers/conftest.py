import gc
from collections.abc import Iterator

import pytest

from .cases import Case


def pytest_itemcollected(item: pytest.Item) -> None:
    """Leave the cases that stand for no family and no topology to `-m full`."""
    case = item.callspec.params.get("case") if hasattr(item, "callspec") else None
    if isinstance(case, Case) and not case.quick:
        item.add_marker("full")


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
