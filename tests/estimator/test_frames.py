"""Frames with columns of any kind, of three libraries, in and out."""

import datetime
import decimal
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from tests.marks import for_each, slow
from tests.processes import run_python

from keras_tied.tables import open_table

from .networks import seeded

ROWS = 48  # of so few, PCA is the model, and nothing is compiled
KIND = np.arange(ROWS) % 3
NOISE = default_rng(0).normal(size=ROWS)


make = partial(seeded, max_iter=1, hidden_layer_sizes=8)


def make_frame():
    """A frame of pandas whose columns all follow one number of three values."""
    words = np.array(["plum", "fig", "pear"])[KIND]
    day = pd.Timestamp("2026-01-31") + pd.to_timedelta(9 * KIND, unit="D")
    return pd.DataFrame(
        {
            "category": pd.Categorical(
                words,
                ["pear", "fig", "none", "plum"],
            ),
            "ordered": pd.Categorical(
                words,
                ["fig", "plum", "pear"],
                ordered=True,
            ),
            "word": words,
            "number": KIND + NOISE,
            "single": (KIND - NOISE).astype("float32"),
            "byte": (40 * KIND).astype("int8"),
            "nullable": pd.array(KIND, dtype="Int16"),
            "yes": KIND > 0,
            "perhaps": pd.array(KIND > 1, dtype="boolean"),
            "day": day,
            "moment": (day + pd.Timedelta("6h")).tz_localize("Europe/Berlin"),
            "always": "here",
        },
        index=ROWS - np.arange(ROWS),
    )


def make_gaps(frame):
    """A copy with missing values in the columns whose dtype has them."""
    rng = default_rng(1)
    frame = frame.copy()
    for name in frame.columns.difference(["byte", "yes", "always"]):
        frame.loc[rng.uniform(size=ROWS) < 0.2, name] = None
    return frame


LIBRARIES = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
}


def test_gaps_of_an_arrow_table_that_polars_made_are_filled():
    frame = pl.DataFrame({"x": KIND + NOISE, "c": np.array(list("abc"))[KIND]})
    table = pa.table(frame)
    gaps = pa.table(frame.with_columns(c=pl.when(pl.col("x") < 1).then("c")))
    assert make(1).fit(table).impute(gaps)["c"].null_count == 0


def schema_of(frame):
    """The names and dtypes of the columns, in order."""
    if isinstance(frame, pd.DataFrame):
        return list(frame.dtypes.items())
    return frame.schema


def to_pandas(frame):
    return frame if isinstance(frame, pd.DataFrame) else frame.to_pandas()


@pytest.fixture(scope="module", params=LIBRARIES)
def frame(request):
    return LIBRARIES[request.param](make_gaps(make_frame()))


@pytest.fixture(scope="module")
def estimator(frame):
    return make(3).fit(frame)


def test_libraries_give_the_same_numbers(estimator, frame):
    gaps = make_gaps(make_frame())
    expected = make(3).fit(gaps)
    for method in ("transform", "score_samples", "rarity", "reconstruction_error"):
        assert_array_equal(
            getattr(estimator, method)(frame),
            getattr(expected, method)(gaps),
        )


@pytest.mark.parametrize("method", ["reconstruct", "impute", "explain"])
@pytest.mark.parametrize("n", [0, 1, ROWS])
def test_frames_come_back_in_their_library_dtypes_order_and_length(
    estimator, frame, method, n
):
    some = frame[:n]
    rows = getattr(estimator, method)(some)
    rows = rows.expected if method == "explain" else rows
    assert type(rows) is type(frame)
    assert schema_of(rows) == schema_of(frame)
    assert len(rows) == len(estimator.reconstruct_proba(some)) == n
    if isinstance(frame, pd.DataFrame):
        assert_array_equal(rows.index, some.index)


def test_imputation_changes_what_is_missing_and_nothing_else(estimator, frame):
    before, after = to_pandas(frame), to_pandas(estimator.impute(frame))
    assert not after.isna().any(axis=None)
    kept = after.where(before.notna()).astype(before.dtypes)
    assert kept.equals(before)
    # Each word follows from the other columns, and the most frequent is one in three.
    filled = after["word"].to_numpy() == make_frame()["word"].to_numpy()
    assert filled[before["word"].isna()].mean() > 0.8


def test_an_arrow_table_that_is_filled_keeps_its_metadata():
    table = LIBRARIES["pyarrow"](make_gaps(make_frame()))
    filled = make(1).fit(table).impute(table)
    assert filled.schema.equals(table.schema, check_metadata=True)


def test_a_loaded_estimator_gives_the_same(estimator, frame, reload):
    loaded = reload(estimator)
    assert_array_equal(loaded.feature_names_in_, estimator.feature_names_in_)
    assert loaded.n_features_in_ == 12
    assert_array_equal(
        loaded.rarity(frame),
        estimator.rarity(frame),
    )


def test_probabilities_add_up_to_one_and_the_largest_is_reconstructed(estimator, frame):
    probabilities = estimator.reconstruct_proba(frame)
    assert type(probabilities) is type(frame)
    probabilities = to_pandas(probabilities)
    rows = to_pandas(estimator.reconstruct(frame))
    assert ((probabilities >= 0) & (probabilities <= 1)).all(axis=None)
    present = to_pandas(frame).notna()
    for name in ("category", "ordered", "word"):
        of_column = probabilities.filter(regex=f"^{name}=")
        assert_allclose(of_column.sum(axis=1), 1, atol=1e-5)
        likeliest = of_column.idxmax(axis=1) == f"{name}=" + rows[name].astype(str)
        assert likeliest[present[name]].all()
    assert_array_equal(probabilities["yes"] >= 0.5, rows["yes"])


@pytest.mark.filterwarnings("ignore:1 column of X was left out")
@pytest.mark.parametrize(
    "label",
    ["same", 7, ("two", "levels")],
)
def test_columns_of_any_label_come_back(label):
    frame = make_gaps(make_frame())
    frame.columns = pd.Index([label] * 12)
    estimator = make(1).fit(frame)
    for rows in (
        estimator.reconstruct(frame),
        estimator.impute(frame),
    ):
        assert schema_of(rows) == schema_of(frame)


DATES = np.datetime64("2026-01-31") + KIND
COLUMNS = {
    "levels that are numbers": pd.Categorical(1000 * KIND),
    "levels that are truth values": pd.Categorical(KIND > 0),
    "levels that are intervals": pd.cut(KIND, 3),
    "levels between spaces": pd.Categorical(np.array([" a", "b ", "c"])[KIND]),
    "levels that are days": pd.Categorical(DATES),
    "no level": pd.Categorical([None] * ROWS),
    "whole numbers as objects": pd.Series(KIND.tolist(), dtype=object),
    "truth values with gaps": [
        None,
        *(KIND > 0)[1:].tolist(),
    ],
    "decimals": [decimal.Decimal(int(of)) / 4 for of in KIND],
    "times": [datetime.time(6 + int(of)) for of in KIND],
    "always one time": [datetime.time(6, 30)] * ROWS,
    "days of Python": DATES.tolist(),
    "long ago": pd.to_datetime("1700-01-01") + pd.to_timedelta(KIND),
    "whole numbers beyond those of doubles": np.array([1, 2, 2**63 - 1])[KIND],
}


@pytest.mark.filterwarnings("ignore:1 column of X was left out")
@for_each(COLUMNS, "values")
def test_rare_dtypes_come_back_from_a_file(values, reload):
    frame = pd.DataFrame({"word": np.array(["a", "b", "c"])[KIND], "what": values})
    gaps = frame.assign(what=frame["what"].where(KIND > 0))
    loaded = reload(make(1).fit(frame))
    for rows in (
        loaded.reconstruct(frame),
        loaded.impute(gaps),
    ):
        column, before = rows["what"], gaps["what"]
        if column.dtype != before.dtype:  # pandas makes floats of integers with gaps
            before = frame["what"]
        assert column.dtype == before.dtype
        assert type(column.iloc[1]) is type(before.iloc[1])


@pytest.mark.parametrize(
    "features",
    [
        ["code"],
        [0],
        [True, False],
        [-2],
    ],
)
def test_numbers_that_are_named_as_categories_are_so(features):
    code = np.array([3.0, 50.0, 700.0])[KIND]
    frame = pd.DataFrame(
        {
            "code": code,
            "size": KIND + NOISE,
        }
    )
    gaps = frame.copy()
    gaps.loc[::4, "code"] = np.nan
    estimator = clone(make(2, categorical_features=features)).fit(gaps)
    rows, imputed = estimator.reconstruct(frame), estimator.impute(gaps)
    assert set(rows["code"]) | set(imputed["code"]) <= set(code)
    by_place = make(2, categorical_features=[0]).fit(gaps.to_numpy())
    assert_array_equal(
        by_place.reconstruct(frame.to_numpy()),
        rows,
    )
    assert_array_equal(
        by_place.impute(gaps.to_numpy()),
        imputed,
    )


def test_values_of_no_category_are_missing_and_counted_once(estimator, frame):
    new = to_pandas(frame)[:4].assign(word=["kiwi", "fig", "kiwi", None])
    with pytest.warns(
        UserWarning, match="2 values of column 'word' in no category"
    ) as caught:
        codes = estimator.transform(new)
    assert len(caught) == 1
    missing = new.assign(word=[None, "fig", None, None])
    assert_array_equal(codes, estimator.transform(missing))


def test_a_column_of_names_is_left_out_with_a_warning_and_stays_in_what_is_imputed():
    frame = make_gaps(make_frame())[["category", "number"]]
    frame["name"] = [
        None,
        *(f"n{place}" for place in range(1, ROWS)),
    ]
    with pytest.warns(UserWarning, match="1 column of X was left out: 'name'"):
        estimator = make(1).fit(frame)
    assert list(estimator.reconstruct(frame)) == ["category", "number"]
    assert estimator.impute(frame).isna().sum().tolist() == [0, 0, 1]


def test_a_text_that_comes_again_among_numbers_is_missing_with_a_warning():
    ages = ["unknown" if place % 9 == 0 else str(20 + place) for place in range(99)]
    frame = pd.DataFrame({"age": ages, "y": np.arange(99.0)})
    with pytest.warns(UserWarning, match="count as missing: 'unknown' in 'age'"):
        reconstruction = make(1).fit(frame).reconstruct(frame)
    assert reconstruction["age"].str.isdecimal().all()


def test_marks_of_what_is_missing_are_filled():
    class Mine(pd.DataFrame):
        """As other libraries have them."""

    rows = Mine({"word": np.array(["a", "b", "?"])[KIND], "size": KIND + NOISE})
    filled = make(1).fit(rows).impute(rows)
    assert set(filled["word"]) == {"a", "b"}


def test_columns_are_found_by_name(estimator, frame):
    turned = to_pandas(frame).iloc[:, ::-1].assign(other=1)
    assert_array_equal(
        estimator.transform(turned),
        estimator.transform(frame),
    )


def test_whole_numbers_with_gaps_are_filled_by_whole_ones():
    frame = pd.DataFrame(
        {
            "count": KIND * 1.0,
            "twice": KIND + NOISE,
        }
    )
    frame.loc[::4, "count"] = np.nan
    imputed = make(1).fit(frame).impute(frame)["count"]
    assert (imputed == imputed.round()).all()


def test_categories_of_a_parquet_file_are_categories(tmp_path):
    path = str(tmp_path / "rows.parquet")
    pd.DataFrame(
        {
            "code": pd.Categorical(KIND),
            "n": KIND,
        }
    ).to_parquet(path)
    assert open_table(path).categorical == ["code"]


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("twin", "Jan", "kiwi"),
        ("always", "Jan", "Mar"),
        ("always", 1.5, 8),
        ("always", True, False),
        (
            "always",
            DATES[0].item(),
            DATES[1].item(),
        ),
    ],
)
def test_a_reconstruction_contradicts_no_constant_without_a_warning(name, value, other):
    """In training, a column was always one value, or the same as another."""
    frame = make_frame()[["word", "number"]]
    frame["always"], frame["twin"] = value, frame["word"]
    estimator = make(1).fit(frame)
    assert (estimator.reconstruct(frame)["always"] == value).all()
    later = frame.astype({name: object})
    later[name] = later[name].where(KIND > 0, other)
    with pytest.warns(UserWarning, match=f"16 values of column '{name}'") as caught:
        rows = estimator.reconstruct(later)[name].to_numpy()
    assert len(caught) == 1
    assert (rows[KIND == 0] == other).all()


WITHOUT = """
import sys
import numpy as np
import pandas as pd
from keras_tied import TiedAutoencoder
sys.modules[sys.argv[1]] = None  # as if it were not installed
kinds = ["plum", "plumm", "pear", "apple"] * 10
frame = pd.DataFrame({"kind": kinds, "size": np.arange(40.0)})
TiedAutoencoder(1).fit(frame)
"""


@slow
@pytest.mark.parametrize("library", ["pyarrow", "rapidfuzz"])
def test_without_a_library_of_frames_the_error_names_the_extra(library):
    message = run_python("-c", WITHOUT, library, code=1).stderr.splitlines()[-1]
    assert message.startswith("ImportError: columns")
    assert message.endswith(f'need {library}; run pip install "keras-tied[cli]".')
