import pytest

from .cases import Case


def pytest_itemcollected(item: pytest.Item) -> None:
    """Leave the cases that stand for no family and no topology to `-m full`."""
    case = item.callspec.params.get("case") if hasattr(item, "callspec") else None
    if isinstance(case, Case) and not case.quick:
        item.add_marker("full")
