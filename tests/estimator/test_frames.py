"""Frames with columns of any kind, of three libraries, in and out."""

import datetime
import decimal
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from pyarrow import csv, parquet
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import keras_tied
from keras_tied import TiedAutoencoder
from keras_tied.fitting import sample
from keras_tied.tables import TableError, open_table

QUICK = {"max_iter": 1, "random_state": 0, "hidden_layer_sizes": 8}
ROWS = 48  # of so few, PCA is the model, and nothing is compiled


def make_frame(rng, n=ROWS):
    """A frame of pandas whose columns all follow one number of three values."""
    kind = rng.integers(0, 3, n)
    words = np.array(["plum", "fig", "pear"])[kind]
    moment = pd.Timestamp("2026-01-31 06:00") + pd.to_timedelta(31 * kind, unit="h")
    return pd.DataFrame(
        {
            "category": pd.Categorical(
                words, categories=["pear", "fig", "none", "plum"]
            ),
            "ordered": pd.Categorical(
                words, categories=["fig", "plum", "pear"], ordered=True
            ),
            "zip": pd.Categorical(1000 * kind),
            "word": words,
            "number": kind + rng.normal(size=n),
            "single": (kind + rng.normal(size=n)).astype("float32"),
            "byte": (40 * kind).astype("int8"),
            "nullable": pd.array(kind, dtype="Int16"),
            "yes": kind > 0,
            "perhaps": pd.array(kind > 1, dtype="boolean"),
            "day": pd.to_datetime("2026-01-31") + pd.to_timedelta(9 * kind, unit="D"),
            "moment": moment.tz_localize("Europe/Berlin"),
            "always": "here",
        },
        index=rng.permutation(n) + 7,
    )


def remove_some(frame, rng, share=0.2):
    """A copy with some missing values in the columns whose dtype has them."""
    frame = frame.copy()
    for name in frame.columns.difference(["byte", "yes", "always"]):
        frame.loc[rng.uniform(size=len(frame)) < share, name] = None
    return frame


LIBRARIES = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
}


def schema_of(frame):
    return frame.dtypes.to_dict() if isinstance(frame, pd.DataFrame) else frame.schema


@pytest.fixture(scope="module", params=LIBRARIES)
def fitted(request):
    rng = np.random.default_rng(0)
    frame = LIBRARIES[request.param](remove_some(make_frame(rng), rng))
    return TiedAutoencoder(3, **QUICK).fit(frame), frame


def test_a_reconstruction_is_a_frame_of_the_same_library_dtypes_and_order(fitted):
    estimator, frame = fitted
    for rows in (
        estimator.reconstruct(frame),
        estimator.inverse_transform(np.zeros((2, 3))),
    ):
        assert type(rows) is type(frame)
        assert schema_of(rows) == schema_of(frame)
    if isinstance(frame, pd.DataFrame):
        assert (estimator.reconstruct(frame).index == frame.index).all()


def test_imputation_changes_what_is_missing_and_nothing_else(fitted):
    estimator, frame = fitted
    imputed = estimator.impute(frame)
    assert type(imputed) is type(frame)
    assert schema_of(imputed) == schema_of(frame)
    before, after = (
        of if isinstance(of, pd.DataFrame) else of.to_pandas()
        for of in (frame, imputed)
    )
    assert not after.isna().any(axis=None)
    present = before.notna()
    for name in before.columns:
        kept = before[name][present[name]]
        assert (
            after[name][present[name]].astype(object).tolist()
            == kept.astype(object).tolist()
        )


def test_a_loaded_estimator_gives_the_same_frames(fitted, tmp_path):
    estimator, frame = fitted
    estimator.save(tmp_path / "m.safetensors")
    loaded = TiedAutoencoder.load(tmp_path / "m.safetensors")
    for again in (loaded, pickle.loads(pickle.dumps(estimator))):
        assert again.feature_names_in_.tolist() == estimator.feature_names_in_.tolist()
        assert again.n_features_in_ == 13
        assert schema_of(again.reconstruct(frame)) == schema_of(frame)
        np.testing.assert_array_equal(
            again.transform(frame), estimator.transform(frame)
        )
    alone = keras_tied.load(tmp_path / "m.safetensors")
    numbers = estimator._columns.encode(
        pa.RecordBatch.from_pandas(pd.DataFrame(make_frame(np.random.default_rng(1))))
    )
    np.testing.assert_array_equal(
        alone.transform(numbers), estimator.transform(numbers)
    )


def test_rows_are_as_many_as_were_given(fitted):
    estimator, frame = fitted
    for n in (0, 1):
        some = frame[:n] if not isinstance(frame, pa.Table) else frame.slice(0, n)
        assert estimator.transform(some).shape == (n, 3)
        for rows in (estimator.reconstruct(some), estimator.impute(some)):
            assert len(rows) == n
            assert schema_of(rows) == schema_of(frame)
        assert len(estimator.reconstruct_proba(some)) == n
        assert estimator.score_samples(some).shape == (n,)


def test_probabilities_add_up_to_one_and_the_largest_is_reconstructed(fitted):
    estimator, frame = fitted
    shares = estimator.reconstruct_proba(frame)
    assert type(shares) is type(frame)
    shares = shares if isinstance(shares, pd.DataFrame) else shares.to_pandas()
    rows, before = (
        of if isinstance(of, pd.DataFrame) else of.to_pandas()
        for of in (estimator.reconstruct(frame), frame)
    )
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)
    names = [
        "category",
        "ordered",
        "word",
    ]  # of polars, categories of whole numbers are numbers
    for name in names + ["zip"] * (not isinstance(frame, pl.DataFrame)):
        of_column = shares.filter(regex=rf"^{name}=")
        np.testing.assert_allclose(of_column.sum(axis=1), 1, atol=1e-5)
        likely = of_column.idxmax(axis=1).str.removeprefix(f"{name}=")
        present = before[name].notna().to_numpy()
        assert likely[present].tolist() == rows[name][present].astype(str).tolist()
    assert ((shares["yes"] >= 0.5) == rows["yes"]).all()


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_columns_come_back_in_their_dtypes_and_order(data):
    seed = data.draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    whole = make_frame(rng)
    names = data.draw(st.lists(st.sampled_from(list(whole)), min_size=1, unique=True))
    library = data.draw(st.sampled_from(list(LIBRARIES)))
    frame = remove_some(
        whole[[*names, "category"] if "category" not in names else names], rng
    )
    renamed = (
        data.draw(st.sampled_from([None, "twice", "numbers"]))
        if library != "polars"
        else None
    )
    if library == "pandas" and renamed is not None:
        labels = ["same"] * len(frame.columns)
        frame.columns = labels if renamed == "twice" else range(len(frame.columns))
    given_frame = LIBRARIES[library](frame)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        estimator = TiedAutoencoder(1, **QUICK).fit(given_frame)
        rows, imputed = (
            estimator.reconstruct(given_frame),
            estimator.impute(given_frame),
        )
    assert schema_of(imputed) == schema_of(given_frame)
    if library == "pandas":
        assert list(rows.columns) == list(given_frame.columns)
        assert list(rows.dtypes) == list(given_frame.dtypes)
        assert list(imputed.dtypes) == list(given_frame.dtypes)
    else:
        assert rows.schema == given_frame.schema


def test_integers_that_are_named_as_categories_are_so(rng):
    code = np.array([3, 50, 700])[rng.integers(0, 3, ROWS)]
    size = np.log(code) + 0.01 * rng.normal(size=ROWS)
    frame = pd.DataFrame({"code": code, "size": size})
    for features in (["code"], [0], [True, False], [-2]):
        estimator = TiedAutoencoder(2, categorical_features=features, **QUICK).fit(
            frame
        )
        assert set(estimator.reconstruct(frame)["code"]) <= {3, 50, 700}
        assert estimator.reconstruct_proba(frame).shape == (ROWS, 3)
    assert isinstance(clone(estimator).fit(frame).reconstruct(frame), pd.DataFrame)
    plain = TiedAutoencoder(1, **QUICK).fit(frame).reconstruct(frame)
    assert isinstance(plain, np.ndarray)


def test_an_array_has_categories_where_they_are_named(rng):
    code = rng.integers(0, 3, ROWS)
    X = np.column_stack([code, code + rng.normal(size=ROWS), np.full(ROWS, 2.0)])
    X[::9, 0] = np.nan
    estimator = TiedAutoencoder(2, categorical_features=[0], **QUICK).fit(X)
    rows = estimator.reconstruct(X)
    assert rows.dtype == X.dtype
    assert set(rows[:, 0]) <= {0.0, 1.0, 2.0}
    assert (rows[:, 2] == 2).all()
    imputed = estimator.impute(X)
    present = ~np.isnan(X)
    np.testing.assert_array_equal(imputed[present], X[present])
    assert not np.isnan(imputed).any()


OTHER_COLUMNS = {
    "levels that are truth values": lambda kind: pd.Categorical(kind > 0),
    "levels that are intervals": lambda kind: pd.cut(kind, 3),
    "levels that are days": lambda kind: pd.Categorical(
        np.datetime64("2026-01-31") + kind
    ),
    "no level": lambda kind: pd.Categorical([None] * len(kind)),
    "whole numbers as objects": lambda kind: pd.Series(kind.tolist(), dtype=object),
    "truth values with gaps": lambda kind: pd.Series([None, *(kind > 0)[1:].tolist()]),
    "decimals": lambda kind: [decimal.Decimal(of) / 4 for of in kind.tolist()],
    "times": lambda kind: [datetime.time(6 + of) for of in kind.tolist()],
    "always one time": lambda kind: [datetime.time(6, 30)] * len(kind),
    "long ago": lambda kind: pd.to_datetime("1700-01-01") + pd.to_timedelta(kind),
    "whole numbers beyond those of doubles": lambda kind: np.array([1, 2, 2**63 - 1])[
        kind
    ],
}


@pytest.mark.filterwarnings("ignore:1 column of X was left out")
@pytest.mark.parametrize("what", OTHER_COLUMNS)
def test_rare_dtypes_come_back(what, rng, tmp_path):
    kind = rng.integers(0, 3, ROWS)
    words = np.array(["a", "b", "c"])[kind]
    frame = pd.DataFrame({"word": words, "what": OTHER_COLUMNS[what](kind)})
    estimator = TiedAutoencoder(1, **QUICK).fit(frame)
    estimator.save(tmp_path / "m.safetensors")
    loaded = TiedAutoencoder.load(tmp_path / "m.safetensors")
    gaps = frame.assign(what=frame["what"].where(np.arange(ROWS) % 3 > 0))
    for rows in (loaded.reconstruct(frame), loaded.impute(frame), loaded.impute(gaps)):
        assert rows.dtypes.tolist() == (
            gaps if rows is gaps else frame
        ).dtypes.tolist() or (rows["what"].dtype == gaps["what"].dtype)


def test_levels_of_names_come_back(rng):
    kind = rng.integers(0, 3, ROWS)
    columns = pd.MultiIndex.from_tuples([("fruit", "word"), ("fruit", "size")])
    frame = pd.DataFrame(np.empty((ROWS, 2)), columns=columns).astype(object)
    frame[columns[0]], frame[columns[1]] = np.array(["a", "b", "c"])[kind], kind + 0.5
    rows = TiedAutoencoder(1, **QUICK).fit(frame).reconstruct(frame)
    assert rows.columns.equals(columns)


@pytest.mark.parametrize("features", [["no such column"], [9], [-4], [True], [0.5]])
def test_categories_that_are_no_columns_are_refused(features, rng):
    frame = pd.DataFrame({"code": [1, 2] * 9, "size": rng.normal(size=18)})
    with pytest.raises(ValueError, match="categorical_features="):
        TiedAutoencoder(1, categorical_features=features).fit(frame)


def test_fractions_name_no_categories(rng):
    frame = pd.DataFrame({"code": [1.5, 2] * 9, "size": rng.normal(size=18)})
    with pytest.raises(TableError, match="'code' holds fractions"):
        TiedAutoencoder(1, categorical_features=["code"]).fit(frame)


def test_values_of_no_category_are_missing_and_counted_once(fitted):
    estimator, frame = fitted
    frame = frame if isinstance(frame, pd.DataFrame) else frame.to_pandas()
    new = frame[:4].assign(word=["kiwi", "fig", "kiwi", None])
    with pytest.warns(
        UserWarning, match="2 values of column 'word' in no category"
    ) as caught:
        codes = estimator.transform(new)
    assert len(caught) == 1
    missing = new.assign(word=[None, "fig", None, None])
    np.testing.assert_array_equal(codes, estimator.transform(missing))


def test_a_column_of_names_is_left_out_with_a_warning_and_stays_in_what_is_imputed(rng):
    frame = make_frame(rng)[["category", "number"]].assign(
        name=[f"n{i}" for i in range(ROWS)]
    )
    frame.loc[frame.index[0], ["category", "name"]] = None
    with pytest.warns(UserWarning, match="1 column of X was left out: 'name'"):
        estimator = TiedAutoencoder(1, **QUICK).fit(frame)
    assert list(estimator.reconstruct(frame)) == ["category", "number"]
    imputed = estimator.impute(frame)
    assert imputed["category"].notna().all()
    assert imputed["name"].isna().sum() == 1


def test_columns_are_found_by_name(fitted):
    estimator, frame = fitted
    frame = frame if isinstance(frame, pd.DataFrame) else frame.to_pandas()
    turned = frame[list(frame)[::-1]].assign(other=1)
    np.testing.assert_array_equal(
        estimator.transform(turned), estimator.transform(frame)
    )
    with pytest.raises(TableError, match="no column 'word'"):
        estimator.transform(frame.drop(columns="word"))


def test_mixed_types_in_one_column_are_refused_by_name():
    frame = pd.DataFrame({"what": ["a", 1] * 9, "x": range(18)})
    with pytest.raises(TableError, match=r"column 'what' cannot be used \("):
        TiedAutoencoder(1).fit(frame)


def test_whole_numbers_with_gaps_are_filled_by_whole_ones(rng):
    frame = pd.DataFrame({"count": rng.integers(0, 9, ROWS).astype(float)})
    frame["twice"] = 2 * frame["count"] + rng.integers(0, 2, ROWS)
    frame.loc[frame.index[::4], "count"] = np.nan
    imputed = TiedAutoencoder(1, **QUICK).fit(frame).impute(frame)
    assert (imputed["count"] == imputed["count"].round()).all()
    X = frame.to_numpy()
    filled = TiedAutoencoder(1, **QUICK).fit(X).impute(X)
    np.testing.assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])


def test_steps_before_it_work_as_ever(rng):
    frame = make_frame(rng)[["word", "number", "byte"]]
    encode = ColumnTransformer(
        [("word", OneHotEncoder(sparse_output=False), ["word"])],
        remainder="passthrough",
    ).set_output(transform="pandas")
    pipeline = make_pipeline(
        encode, TiedAutoencoder(2, **QUICK).set_output(transform="pandas")
    )
    codes = pipeline.fit_transform(frame)
    assert list(codes) == ["tiedautoencoder0", "tiedautoencoder1"]
    assert (codes.index == frame.index).all()


def test_an_odd_category_is_explained_by_what_is_likely_instead():
    rng = np.random.default_rng(0)
    frame = make_frame(rng, 300)[["category", "number", "word", "byte"]]
    frame.loc[frame.index[:9], "category"] = None  # else one is a copy of the other
    estimator = TiedAutoencoder(2, **QUICK).fit(frame)
    odd = frame.loc[frame["word"] == "plum"].tail(1).assign(word="pear")
    reasons = estimator.explain(odd)
    assert reasons.shares.shape == (1, 4)
    assert reasons.shares[0].argmax() == 2
    assert reasons.expected["word"].tolist() == ["plum"]
    assert_frame_equal(reasons.expected[["category"]], odd[["category"]])


def test_dask_encodes_block_by_block(rng):
    dask = pytest.importorskip("dask.dataframe")
    frame = make_frame(rng)[["category", "number", "word", "yes"]]
    frame.loc[frame.index[0], "word"] = "pear"  # else it is a copy
    parts = dask.from_pandas(frame, npartitions=3, sort=False)
    estimator = TiedAutoencoder(2, **QUICK).fit(parts)
    np.testing.assert_array_equal(
        estimator.transform(parts).compute(), estimator.transform(frame)
    )
    assert_frame_equal(
        estimator.reconstruct(parts).compute(),
        estimator.reconstruct(frame),
        check_freq=False,
    )


@pytest.mark.slow
def test_the_command_gives_the_codes_of_python(tmp_path, rng):
    """Of the same frame as a CSV file and as one of Parquet."""
    frame = make_frame(rng, 80).reset_index(drop=True)
    frame = remove_some(frame.drop(columns=["zip", "moment"]), rng)
    frame["day"] = frame["day"].astype(object).where(frame["day"].notna(), None)
    frame["day"] = [None if day is None else day.date() for day in frame["day"]]
    table = pa.Table.from_pandas(frame, preserve_index=False)
    parquet.write_table(table, tmp_path / "rows.parquet")
    csv.write_csv(table, tmp_path / "rows.csv")
    codes = TiedAutoencoder(2, random_state=0).fit_transform(frame)
    for ending in ("csv", "parquet"):
        for command in (
            f"fit rows.{ending} -o m.safetensors --quiet",
            f"encode m.safetensors rows.{ending} -o codes.npy --quiet",
        ):
            subprocess.run(
                [sys.executable, "-m", "keras_tied", *command.split()],
                cwd=tmp_path,
                check=True,
            )
        np.testing.assert_allclose(np.load(tmp_path / "codes.npy"), codes, atol=2e-5)


def test_times_of_python_are_days(rng):
    days = [
        datetime.date(2026, 1, 1) + datetime.timedelta(days=int(d))
        for d in rng.integers(0, 90, 60)
    ]
    frame = pd.DataFrame({"day": days, "late": [day.month > 1 for day in days]})
    rows = TiedAutoencoder(2, **QUICK).fit(frame).reconstruct(frame)
    assert type(rows["day"].iloc[0]) is datetime.date


def test_a_sample_of_blocks_has_the_moments_of_all_rows(monkeypatch, rng):
    dask = pytest.importorskip("dask.dataframe")
    monkeypatch.setattr(sample, "MOST_ROWS", 100)
    frame = make_frame(rng, 600)[["category", "number", "word"]]
    parts = dask.from_pandas(frame, npartitions=4, sort=False)
    estimator = TiedAutoencoder(2, trim=False, **QUICK).fit(parts)
    scaling = estimator._fitted.preprocessing.scaling
    numbers = estimator._columns.encode(pa.RecordBatch.from_pandas(frame))
    np.testing.assert_allclose(
        scaling.shift, numbers.mean(axis=0), rtol=1e-5, atol=1e-6
    )


def test_categories_of_a_parquet_file_are_categories(tmp_path, rng):
    code = rng.integers(0, 3, ROWS)
    frame = pd.DataFrame(
        {"code": pd.Categorical(code), "size": code + rng.normal(size=ROWS)}
    )
    frame.to_parquet(tmp_path / "rows.parquet")
    source = open_table(str(tmp_path / "rows.parquet"))
    assert source.categorical == ["code"]


def test_text_that_is_mostly_numbers_is_refused_with_what_to_do_in_python(rng):
    texts = [*map(str, range(90)), *(f"about {i}" for i in range(15))]
    frame = pd.DataFrame({"size": texts, "x": rng.normal(size=105)})
    with pytest.raises(
        TableError, match=r"'size' holds integers in 86% .*categorical_features"
    ):
        TiedAutoencoder(1).fit(frame)


@given(data=st.data())
def test_a_reconstruction_contradicts_no_constant_without_a_warning(data):
    """In training, a column was always one value, or the same as another."""
    draw, rng = data.draw, np.random.default_rng(0)
    value = draw(st.sampled_from(["Jan", 7, 1.5, True, datetime.date(2026, 1, 31)]))
    others = {
        str: "Mar",
        int: 8,
        float: 2.5,
        bool: False,
        datetime.date: datetime.date(2026, 3, 1),
    }
    frame = make_frame(rng)[["word", "number"]]
    frame["always"], frame["twin"] = value, frame["word"]
    later = frame.copy()
    changed = np.array(draw(st.lists(st.booleans(), min_size=ROWS, max_size=ROWS)))
    name = draw(st.sampled_from(["always", "twin"]))
    later[name] = later[name].astype(object)
    later.loc[changed, name] = others[type(value)] if name == "always" else "other"
    estimator = TiedAutoencoder(1, **QUICK).fit(frame)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = estimator.reconstruct(later)
    assert rows[name][changed].tolist() == later[name][changed].tolist()
    told = [str(each.message) for each in caught]
    assert len(told) == changed.any()
    if changed.any():
        assert f"{changed.sum()} value" in told[0]
        assert f"column '{name}'" in told[0]
    if name == "always":
        assert (rows[name][~changed] == value).all()


def test_a_fit_that_fails_leaves_what_was_fitted(rng):
    """The columns belong to the fitted value, and change with it alone."""
    frame = make_frame(rng)[["category", "number", "word"]].assign(
        word="x", size=rng.normal(size=48)
    )
    estimator = TiedAutoencoder(1, **QUICK).fit(frame)
    codes = estimator.transform(frame)
    with pytest.raises(ValueError, match="n_components=99"):
        estimator.set_params(n_components=99).fit(frame.drop(columns="size"))
    np.testing.assert_array_equal(estimator.transform(frame), codes)
