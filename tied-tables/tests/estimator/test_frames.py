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

from .libraries import LIBRARIES, to_arrow
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


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical])
@pytest.mark.parametrize("level", [pl.CompatLevel.oldest, pl.CompatLevel.newest])
def test_gaps_of_an_arrow_table_that_polars_made_are_filled(dtype, level):
    words = pl.Series(np.array(list("abc"))[KIND], dtype=dtype)
    frame = pl.DataFrame({"c": words, "x": KIND + NOISE})
    gaps = frame.with_columns(c=pl.when(pl.col("x") < 1).then("c"))
    table, rows = (each.to_arrow(compat_level=level()) for each in (frame, gaps))
    assert make(1).fit(table).impute(rows)["c"].null_count == 0


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
    table = to_arrow(make_gaps(make_frame()))
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


LABELS = [
    "same",
    7,
    True,
    None,
    np.nan,
    np.inf,
    b"bytes",
    pd.Timestamp("2026-01-31"),
    ("two", "levels"),
    ("two", None),
    (True, np.nan),
    ("two", pd.Timestamp("2026-01-31")),
    ("two", ("three", 4)),
]
NAMES = [pd.Index([label] * 2) for label in LABELS]
for label in [True, None, np.nan, ("b", 2), ("b", None)]:
    NAMES.append(pd.Index(["word", label], dtype=object, tupleize_cols=False))


@pytest.mark.parametrize("names", NAMES)
def test_columns_of_any_labels_come_back(names, reload):
    frame = make_gaps(make_frame())[["word", "number"]]
    frame.columns = names
    estimator = reload(make(1).fit(frame))
    for rows in (estimator.reconstruct(frame), estimator.impute(frame)):
        assert rows.columns.identical(frame.columns)
        assert list(rows.dtypes) == list(frame.dtypes)


DATES = np.datetime64("2026-01-31") + KIND
COLUMNS = {
    "levels that are numbers": pd.Categorical(1000 * KIND),
    "levels beyond those with a sign": pd.Categorical(
        np.uint64([1, 2**63, 2**64 - 1])[KIND]
    ),
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
WORDS = pa.array(["a", "b", "c"]).take(pa.array(KIND))
BACKED = {
    "words": WORDS,
    "levels": WORDS.dictionary_encode(),
    "levels of numbers": pa.array(KIND).dictionary_encode(),
    "whole numbers": pa.array(KIND),
    "decimals": pa.array(KIND.astype("int8")).cast(pa.decimal128(10, 2)),
    "days": pa.array(KIND.astype("int32")).cast(pa.date32()),
    "views": WORDS.cast(pa.string_view()),
    "lists": pa.array([[kind] for kind in KIND]),
    "structures": pa.array([{"a": kind} for kind in KIND]),
    "maps": pa.array([[("a", kind)] for kind in KIND], pa.map_("string", "int64")),
}
for name, values in BACKED.items():
    COLUMNS[f"{name} of Arrow"] = pd.arrays.ArrowExtensionArray(values)


@pytest.mark.filterwarnings("ignore:1 column of X was left out")
@for_each(COLUMNS, "values")
def test_rare_dtypes_come_back_from_a_file(values, reload):
    frame = pd.DataFrame({"word": np.array(["a", "b", "c"])[KIND], "what": values})
    gaps = frame.assign(what=frame["what"].where(KIND > 0))
    loaded = reload(make(1).fit(frame))
    restored, filled = loaded.reconstruct(frame), loaded.impute(gaps)
    is_used = "what" in restored
    for rows in (restored, filled) if is_used else (filled,):
        column, before = rows["what"], gaps["what"]
        if column.dtype != before.dtype:  # pandas makes floats of integers with gaps
            before = frame["what"]
        assert column.dtype == before.dtype
        assert type(column.iloc[1]) is type(before.iloc[1])
    is_known = is_used and frame["what"].notna().any()
    assert filled["what"].isna().any() != is_known


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
        UserWarning, match="2 values of column 'word' in categories not"
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
    with pytest.warns(
        UserWarning, match="treated as missing: 'unknown' in column 'age'"
    ):
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


def make_batch(frame):
    columns = [pa.array(values.to_numpy()) for _, values in frame.items()]
    return pa.RecordBatch.from_arrays(columns, names=list(frame))


def test_a_batch_of_numbers_is_matched_by_name_as_a_table_is():
    frame = pd.DataFrame({"a": NOISE, "b": 100 * NOISE + KIND})
    for fitted in (make(1).fit(frame), make(1).fit(make_batch(frame))):
        assert fitted.feature_names_in_.tolist() == ["a", "b"]
        codes = fitted.transform(frame)
        assert_array_equal(fitted.transform(make_batch(frame)), codes)
        with pytest.raises(ValueError, match="must be in the same order"):
            fitted.transform(make_batch(frame[["b", "a"]]))
        with pytest.raises(ValueError, match="unseen at fit time"):
            fitted.transform(make_batch(frame.set_axis(["a", "c"], axis=1)))


@pytest.mark.parametrize("extra", ["word", "number", "new"])
@pytest.mark.parametrize("convert", [lambda frame: frame, make_batch])
def test_a_name_that_repeats_in_a_later_frame_is_named(extra, convert):
    frame = make_frame()[["word", "number"]]
    estimator = make(1).fit(frame)
    values = frame.iloc[::-1, :1].set_axis([extra], axis=1)
    later = convert(pd.concat([frame, values, values], axis=1))
    for method in ("transform", "impute", "reconstruct"):
        with pytest.raises(ValueError, match=f" columns named '{extra}'"):
            getattr(estimator, method)(later)


def test_names_that_repeated_in_training_may_repeat():
    frame = make_frame()[["word", "number"]].set_axis(["same", "same"], axis=1)
    estimator = make(1).fit(frame)
    codes = estimator.transform(frame)
    assert_array_equal(estimator.transform(frame.assign(other=1)), codes)
    with pytest.raises(ValueError, match="X has 3 columns named 'same'"):
        estimator.transform(pd.concat([frame, frame.iloc[:, :1]], axis=1))


def test_blanks_at_the_ends_of_names_are_ignored(reload):
    frame = make_frame()[["word", "number", "single"]]
    padded = frame.set_axis([" word", "number ", "single"], axis=1)
    gaps = padded.copy()
    gaps.iloc[KIND == 0, :2] = None
    for estimator in (make(1).fit(frame), reload(make(1).fit(padded))):
        assert_array_equal(estimator.transform(frame), estimator.transform(padded))
        filled = estimator.impute(gaps)
        assert filled.notna().all(axis=None)
        assert list(filled) == list(padded)
        assert list(estimator.reconstruct(gaps)) == list(estimator.feature_names_in_)


def test_names_that_differ_by_a_blank_stay_apart():
    frame = make_frame()[["word", "number"]].set_axis(["a", "a "], axis=1)
    estimator = make(1).fit(frame)
    codes = estimator.transform(frame)
    assert_array_equal(estimator.transform(frame[["a ", "a"]]), codes)


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
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
    frame = make_frame()[["word", "number"]]
    frame["always"] = value
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
from tied_tables import TiedAutoencoder
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
    assert message.endswith(f'need {library}; run pip install "tied-tables[cli]".')
