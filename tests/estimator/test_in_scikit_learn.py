"""As a part of pipelines, searches and column transformers."""

import numpy as np
import pytest
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from keras_tied import TiedAutoencoder


def quick(**parameters) -> TiedAutoencoder:
    return TiedAutoencoder(
        **({"n_components": 2, "max_iter": 3, "random_state": 0} | parameters)
    )


def test_pipeline_reduces_before_a_classifier(iris):
    labels = np.repeat([0, 1, 2], 50)
    pipeline = make_pipeline(StandardScaler(), quick(), LogisticRegression())
    assert cross_val_score(pipeline, iris, labels, cv=3).mean() > 0.85


def test_pipeline_names_its_features(iris):
    pipeline = make_pipeline(StandardScaler(), quick()).fit(iris)
    assert pipeline.get_feature_names_out().tolist() == [
        "tiedautoencoder0",
        "tiedautoencoder1",
    ]


@pytest.mark.slow
def test_grid_search_over_widths_in_two_processes(digits):
    search = GridSearchCV(
        quick(hidden_layer_sizes=8),
        {"n_components": [2, 8]},
        cv=3,
        n_jobs=2,
        error_score="raise",
    ).fit(digits[:240])
    assert search.best_params_ == {"n_components": 8}
    scores = search.cv_results_["mean_test_score"]
    assert 0 < scores[0] < scores[1] < 1


def test_column_transformer_with_one_hot_columns():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    colour = rng.choice(["red", "green", "blue"], 90)
    table = pandas.DataFrame(
        {
            "colour": colour,
            "size": rng.normal(size=90) + (colour == "red"),
            "weight": 1.0,
        }
    )
    columns = ColumnTransformer(
        [("one-hot", OneHotEncoder(), ["colour"])], remainder=StandardScaler()
    )
    pipeline = Pipeline([("columns", columns), ("reduce", quick())]).fit(table)
    assert pipeline.transform(table).shape == (90, 2)
    within = ColumnTransformer(
        [("reduce", quick(), ["size", "weight"])], remainder="drop"
    )
    assert within.fit_transform(table).shape == (90, 2)
    assert within.get_feature_names_out().tolist() == [
        "reduce__tiedautoencoder0",
        "reduce__tiedautoencoder1",
    ]


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_set_output(kind, iris):
    library = pytest.importorskip(kind)
    table = library.DataFrame(dict(zip("abcd", iris.T, strict=True)))
    estimator = quick().set_output(transform=kind)
    codes = estimator.fit_transform(table)
    assert isinstance(codes, library.DataFrame)
    assert list(codes.columns) == ["tiedautoencoder0", "tiedautoencoder1"]
    assert estimator.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    np.testing.assert_allclose(codes.to_numpy(), quick().fit_transform(iris), atol=1e-5)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
@pytest.mark.parametrize("named", [True, False])
def test_set_output_reaches_rows_that_are_reconstructed(kind, named, iris):
    library = pytest.importorskip(kind)
    table = library.DataFrame(dict(zip("abcd", iris.T, strict=True))) if named else iris
    names = list("abcd") if named else ["x0", "x1", "x2", "x3"]
    plain = quick().fit(table)
    expected = plain.reconstruct(table)
    assert type(expected) is np.ndarray
    estimator = quick().set_output(transform=kind).fit(table)
    codes = estimator.transform(table)
    for rows in (estimator.reconstruct(table), estimator.inverse_transform(codes)):
        assert isinstance(rows, library.DataFrame)
        assert list(rows.columns) == names
        np.testing.assert_allclose(rows.to_numpy(), expected, atol=1e-5)


def test_index_of_the_rows_stays(iris):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(iris, columns=list("abcd")).set_index(
        np.arange(150)[::-1] + 7
    )
    estimator = quick().set_output(transform="pandas").fit(table)
    for rows in (
        estimator.reconstruct(table),
        estimator.inverse_transform(estimator.transform(table)),
    ):
        assert rows.index.equals(table.index)


def test_configuration_of_scikit_learn_reaches_them_too(iris):
    pandas = pytest.importorskip("pandas")
    estimator = quick().fit(iris)
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(estimator.reconstruct(iris), pandas.DataFrame)
    assert type(estimator.reconstruct(iris)) is np.ndarray


def test_sample_weight_is_routed(iris):
    weights = np.repeat([0.0, 1.0, 1.0], 50)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(quick().set_fit_request(sample_weight=True))
        codes = pipeline.fit(iris, sample_weight=weights).transform(iris)
    np.testing.assert_array_equal(
        codes, quick().fit(iris, sample_weight=weights).transform(iris)
    )


def test_parameters_are_shown_and_set():
    estimator = TiedAutoencoder(3)
    assert repr(estimator) == "TiedAutoencoder(n_components=3)"
    assert estimator.set_params(scaler="minmax").get_params()["scaler"] == "minmax"
    assert "TiedAutoencoder" in estimator._repr_html_()
