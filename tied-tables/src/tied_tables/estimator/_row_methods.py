"""The methods of `TiedAutoencoder` that take rows and need no training.

Each computes with a copy of the estimator, which no `fit` in another thread changes.
"""

from copy import copy
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OutlierMixin,
    TransformerMixin,
)
from sklearn.utils import check_array
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_sample_weight,
    check_is_fitted,
)

from tied_tables._types import Array
from tied_tables.estimator._explanation import Explanation, describe_rows
from tied_tables.estimator._fitted_state import FittedState
from tied_tables.estimator._validation import (
    FLOAT_DTYPES,
    is_frame,
    to_arrow,
    to_dense,
    validate_rows,
)
from tied_tables.model.imputation import fill_masked


class RowMethods(
    OutlierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, FittedState
):
    """What a fitted `TiedAutoencoder` does with rows."""

    def to_numbers(self, X: Any) -> Any:
        """The numbers that stand for rows: those of a table of numbers as they are.

        A column of numbers or booleans is one number, a category is one for each of its
        levels, and a time is the days since the first, with waves of the hour, weekday
        and month that vary. `tied_tables.load` and ONNX take these numbers.

        Args:
            X: the rows, `(n_samples, n_features_in_)`.

        Returns:
            The numbers, `(n_samples, n_numbers)`, which `get_number_names_out` names:
            of an array or a sparse matrix as they are, `n_numbers = n_features_in_`.

        Examples:
            >>> import pandas as pd
            >>> from tied_tables import TiedAutoencoder
            >>> kinds, sizes = ["plum", "fig"], [4, 6]
            >>> fruit = pd.DataFrame({"kind": kinds * 30, "size": sizes * 30})
            >>> autoencoder = TiedAutoencoder(1, random_state=0).fit(fruit)
            >>> autoencoder.get_number_names_out().tolist()
            ['kind=fig', 'kind=plum', 'size']
            >>> autoencoder.to_numbers(fruit.head(2)).tolist()
            [[0.0, 1.0, 4.0], [1.0, 0.0, 6.0]]
        """
        return validate_rows(copy(self), X)

    def get_number_names_out(self) -> NDArray[np.object_]:
        """The names of the numbers that `to_numbers` gives.

        They also name the entries of `feature_r2_`, and the columns of
        `reconstruction_error(X, per_feature=True)`.

        Returns:
            Texts, `(n_numbers,)`: `column=category` of a category, `column:part` of a
            part of a time, and the name of any other column; `x0`, `x1`, ... after a
            fit to an array.

        Raises:
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        state = copy(self)
        check_is_fitted(state)
        if state._columns is not None:
            return np.array(state._columns.features, dtype=object)
        return _check_feature_names_in(state)

    def transform(self, X: Any) -> Array:
        """Encode rows.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            The codes, `(n_samples, n_components_)`, in the dtype of `X`; float32 for
            float16.
        """
        state = copy(self)
        rows = validate_rows(state, X)
        return state._model.transform(rows)

    def inverse_transform(self, X: Any) -> Array:
        """Reconstruct rows from codes.

        Args:
            X: the codes, `(n_samples, n_components_)`.

        Returns:
            The rows, `(n_samples, n_features)`, in the units of the features; a data
            frame with their names where `set_output` asks for one. After a fit to a
            frame with columns of any kind, a frame like it, without the columns that
            were left out.
        """
        state = copy(self)
        check_is_fitted(state)
        codes = check_array(fill_masked(X), dtype=FLOAT_DTYPES, input_name="X")
        fitted = state._model
        if codes.shape[1] != fitted.n_components:
            raise ValueError(
                f"X has {codes.shape[1]} features, but {type(self).__name__} has codes"
                f" of {fitted.n_components}."
            )
        return _wrap_rows(state, fitted.inverse_transform(codes), X)

    def reconstruct(self, X: Any) -> Array:
        """Encode and decode rows; missing values are imputed.

        Where values were missing in training, an imputed value is a weighted mean of
        the network's and of the conditional mean in a normal distribution, whichever of
        them is nearer to hidden numbers of the column weighing more.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            The rows, as `inverse_transform` gives them, an array in the dtype of `X`.
            In a column of a frame that was constant in training, other values stay as
            they are. A column that was the same as another one is left out.
        """
        state = copy(self)
        arrow_rows = to_arrow(state._columns, X)
        rows = validate_rows(state, arrow_rows)
        return _wrap_rows(state, state._model.reconstruct(rows), X, arrow_rows)

    def reconstruct_proba(self, X: Any) -> Any:
        """How likely the reconstruction makes every category, and every boolean.

        Args:
            X: the rows, a frame with columns of any kind.

        Returns:
            A frame of the same library, with a column for each category, such as
            `kind=plum`, and for each boolean that it is true: numbers from 0 to 1,
            which add up to 1 for all categories of a column.

        Raises:
            ValueError: if no column of the rows that were fitted to holds booleans or
                categories.
        """
        state = copy(self)
        rows = validate_rows(state, X)
        columns = state._columns
        if columns is None or not columns.layout.has_classes:
            raise ValueError(
                f"{type(self).__name__} was fitted to numbers: reconstruct_proba needs"
                " a column of booleans or categories."
            )
        codes = state._model.transform(rows)
        numbers = state._model.inverse_transform(codes)
        return columns.join_proba(numbers, X)

    def impute(self, X: Any) -> Any:
        """Fill in what is missing, and leave the rest as it is.

        Args:
            X: the rows, `(n_samples, n_features)`: an array, or a frame.

        Returns:
            A copy, of the same type and dtypes, in which each missing value is what
            `reconstruct` gives there, or the conditional mean in a normal distribution
            where nothing was missing in training; a number lies within those of its
            column in training. In columns where all other numbers are whole it is so
            too. What is missing in columns that were left out stays so.

        Examples:
            >>> import pandas as pd
            >>> from tied_tables import TiedAutoencoder
            >>> kinds, sizes = ["plum", "fig"], [4, 6]
            >>> fruit = pd.DataFrame({"kind": kinds * 30, "size": sizes * 30})
            >>> autoencoder = TiedAutoencoder(1, random_state=0).fit(fruit)
            >>> gaps = pd.DataFrame({"kind": ["plum", None], "size": sizes})
            >>> autoencoder.impute(gaps)
               kind  size
            0  plum     4
            1   fig     6
        """
        state = copy(self)
        X = fill_masked(X)
        # A value of a frame must not be rounded beyond those of training.
        columns = state._columns
        arrow_rows = to_arrow(columns, X)
        rows = to_dense(validate_rows(state, arrow_rows, double=True))
        filled = state._model.impute(rows)
        if columns is None and not is_frame(X):
            return filled
        from tied_tables.columns import Columns, Frame, FrameSchema

        frame = Frame.read(arrow_rows)
        if columns is None:
            columns = Columns.of_numbers(frame.batch.column_names)
        gaps = columns.find_gaps(frame.rows)
        schema, _ = FrameSchema.learn(frame)
        return schema.fill(frame, columns.decode(filled, named=True), gaps)

    def reconstruction_error(self, X: Any, per_feature: bool = False) -> Array:
        """The squared difference between scaled rows and their reconstructions.

        Of booleans and categories it is that of scaled indicators, not the deviance.

        Args:
            X: the rows, `(n_samples, n_features)`.
            per_feature: whether to return the error of each number that stands for a
                row. Defaults to `False`: the mean.

        Returns:
            The mean over the numbers that are not missing, `(n_samples,)`, or the
            square of each, `(n_samples, n_numbers)`, with NaN where one is missing;
            float64. `get_number_names_out` names the `n_numbers` columns: the features
            of an array, and the numbers that `to_numbers` gives of a frame.
        """
        state = copy(self)
        rows = validate_rows(state, X)
        return state._model.reconstruction_error(rows, per_feature)

    def score(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """The share of the variance that is reconstructed: R² over all scaled features.

        With probabilities of classes it is the share of deviance that is explained, of
        all columns.

        Args:
            X: the rows, `(n_samples, n_features)`.
            y: not used.
            sample_weight: the weight of each row, `(n_samples,)`. Defaults to 1 each.

        Returns:
            At most 1; 0 is what the mean of the training rows would get.
        """
        state = copy(self)
        rows = validate_rows(state, X)
        weights = fill_masked(sample_weight)
        weights = _check_sample_weight(weights, rows, dtype=np.float64)
        return state._model.score(rows, weights)

    def score_samples(self, X: Any) -> Array:
        """How normal rows are, the negated outlier score: the higher, the more normal.

        The outlier score adds up how unusual a row's values, code, residuals and
        differences from what the other columns suggest are, compared with those of most
        training rows. In a table of numbers it grows with the distance of the row from
        the three quarters of them that are the most ordinary. Rows with a value far
        outside the rest of its column come first.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            Scores, `(n_samples,)` float64.
        """
        state = copy(self)
        rows = validate_rows(state, X)
        return state._model.score_samples(rows)

    def rarity(self, X: Any) -> Array:
        """One row in how many is at least as odd, by scores of the training rows.

        They are corrected for having been trained on. The numbers of few rows are
        rough, and so are those of the rarest rows of any table.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            Numbers from 1 up to that of the training rows, `(n_samples,)` float64.
        """
        state = copy(self)
        rows = validate_rows(state, X)
        return state._model.rarity(rows)

    def explain(self, X: Any) -> Explanation:
        """Why rows are odd: by which columns, and what the others suggest.

        Each value is replaced by its conditional mean in a normal distribution of the
        columns, of which values far outside their column are no part, and the row is
        scored again. A column's share is the fall of the score, and at least what a
        value far outside the column adds to it. Two values that contradict each other
        have a share each.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            An `Explanation`: `sentences()` in the words of `tied-tables score`,
            `to_frame()` with the columns of `score --explain`, and arrays: `shares`,
            `expected`, `scores` and `ratios`, a column for each name in `columns`.

        Examples:
            >>> import numpy as np
            >>> from tied_tables import TiedAutoencoder
            >>> X = np.random.default_rng(0).normal(size=(200, 1)) * [1.0, 2.0, 3.0]
            >>> autoencoder = TiedAutoencoder(1, max_iter=1, random_state=0).fit(X)
            >>> reasons = autoencoder.explain([[1.0, 2.0, 60.0]])
            >>> reasons.shares.argmax(), round(reasons.expected[0, 2])
            (np.int64(2), 3)
            >>> reasons.sentences()[0].partition(";")[0]
            'x2 60'
        """
        state = copy(self)
        arrow_rows = to_arrow(state._columns, X)
        numbers = to_dense(validate_rows(state, arrow_rows))
        model = state._model
        found = model.explain(numbers)
        columns = state._columns
        names = list(columns.names if columns else state.get_number_names_out())
        scores = -model.score_samples(numbers)
        return Explanation(
            names,
            found.shares,
            _wrap_rows(state, found.expected, X),
            found.scores,
            found.ratios,
            scores,
            model.find_rarity(scores),
            _describe=partial(describe_rows, model, names, arrow_rows, numbers, found),
            _given=X,
        )

    def decision_function(self, X: Any) -> Array:
        """`score_samples` less `offset_`: negative for what `predict` calls an outlier.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            Scores, `(n_samples,)` float64.
        """
        state = copy(self)
        rows = validate_rows(state, X)
        return state._model.score_samples(rows) - state._model.offset

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Classify rows as outliers and inliers.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            -1 for each outlier and 1 for each other row, `(n_samples,)`.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _wrap_rows(
    estimator: BaseEstimator, rows: Array, X: Any, arrow_rows: Any = None
) -> Any:
    """Rows with the names of the features, and the index of the frame of `X`.

    Columns of any kind become a frame again. scikit-learn itself wraps only what
    `transform` returns, and names it by the output's names.
    """
    columns = estimator._columns
    if columns is not None and (columns.frame is not None or is_frame(X)):
        if arrow_rows is None or not is_frame(X):
            return columns.join(rows, X)
        from tied_tables.estimator._columns import find_differences

        return columns.join(rows, X, find_differences(columns, arrow_rows))
    container = _get_output_config("transform", estimator)["dense"]
    if container == "default":
        return rows
    names = _check_feature_names_in(estimator)
    return ADAPTERS_MANAGER.adapters[container].create_container(rows, X, columns=names)
