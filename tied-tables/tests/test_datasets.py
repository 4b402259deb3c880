"""The sample table."""

import numpy as np
import pytest

from tied_tables.datasets import make_clients


def test_rows_are_those_of_their_seed():
    generator = np.random.RandomState(3)
    first = str(make_clients(9, random_state=generator))
    assert first == str(make_clients(9, random_state=3))
    assert first != str(make_clients(9, random_state=4))


def test_no_row_cannot_be_drawn():
    with pytest.raises(ValueError, match="n_samples=0"):
        make_clients(0)
