import numpy as np
import pyarrow as pa
import pytest


@pytest.fixture
def places():
    """Rows with a zip that determines the city and the state, (400 rows of 40 zips)."""
    generator = np.random.default_rng(0)
    zips = generator.integers(0, 40, 400)
    return {
        "zip": [f"{10_000 + 7 * zip}" for zip in zips],
        "city": [f"city {'abcdefghij'[zip % 10]}{zip // 10}" for zip in zips],
        "state": [f"S{zip % 5}" for zip in zips],
        "other": [f"{number}" for number in generator.integers(0, 9, 400)],
    }


def write_orders(price, quantity, total, write="{:.2f}".format):
    """A table of texts."""
    return {
        "price": list(map(write, price)),
        "quantity": list(map(str, quantity)),
        "total": list(map(write, total)),
    }


@pytest.fixture
def orders():
    """Orders of which the total is the price times the quantity, 500 rows."""
    generator = np.random.default_rng(0)
    price = np.round(np.exp(generator.normal(3, 1, 500)), 2)
    quantity = 1 + generator.geometric(0.3, 500)
    return write_orders(price, quantity, price * quantity)


@pytest.fixture
def to_table():
    return lambda columns: pa.table(
        {name: pa.array(texts, pa.string()) for name, texts in columns.items()}
    )
