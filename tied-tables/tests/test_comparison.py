import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from tied_tables import TiedAutoencoder
from tied_tables.comparison import choose_width, compare_widths
from tied_tables.fit.progress import epoch_callback

from .estimator.networks import with_gaps
from .estimator.pca import pca_error

WIDTH, SEED = 3, 7


@pytest.fixture(scope="module")
def wine():
    return load_wine(return_X_y=True)[0]


def test_errors_are_those_of_pca_and_of_the_estimator_on_rows_held_out(wine):
    parts = train_test_split(wine, test_size=0.3, random_state=SEED)
    scaler = StandardScaler().fit(parts[0])
    train, held_out = map(scaler.transform, parts)
    [width] = compare_widths(wine, [WIDTH], random_state=SEED)
    expected = pca_error(train, held_out, WIDTH)
    assert width.pca_error == pytest.approx(expected, rel=1e-6)
    estimator = TiedAutoencoder(WIDTH, random_state=SEED).fit(train)
    # Its own scale is that of the columns already.
    errors = estimator.reconstruction_error(held_out)
    assert width.error == pytest.approx(errors.mean(), rel=1e-4)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("missing", [0, 0.05])
def test_hidden_values_tell_how_many_components_there_are(rank, missing, rng):
    shape = rank, 12
    weights = rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape)
    X = rng.normal(size=(66, rank)) @ weights + 0.1 * rng.normal(size=(66, 12))
    X = with_gaps(X, missing, rng)
    assert choose_width(compare_widths(X, range(1, 7))) == rank


@pytest.mark.parametrize(
    ("shape", "value", "width", "said"),
    [
        ((9, 4), 1, 2, "minimum of 10"),
        ((20, 1), 1, 1, "minimum of 2"),
        ((20, 4), 1, 4, "n_components=4 must be between 1 and 3"),
        ((10, 90), 1, 8, "n_components=8 must be between 1 and 7"),
        (
            (20, 4),
            np.inf,
            2,
            "infinity",
        ),
        ((20, 4), "a", 2, "string|numeric|dtype"),
        ((20, 4), 1, 2, r"column_of has the shape \(3,\); .* each feature, 4"),
    ],
)
def test_a_table_or_width_that_does_not_fit_is_refused(shape, value, width, said):
    column_of = [0, 0, 1] if "column_of" in said else None
    with pytest.raises(ValueError, match=said):
        compare_widths(
            np.full(shape, value),
            [width],
            column_of=column_of,
        )


def test_ctrl_c_ends_the_comparison(wine, ctrl_c):
    with epoch_callback(ctrl_c), pytest.raises(KeyboardInterrupt):
        compare_widths(
            np.tile(wine, (9, 1)),
            [WIDTH],
        )
