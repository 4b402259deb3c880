"""`TiedAutoencoder`, an autoencoder that keeps scikit-learn's conventions."""

from __future__ import annotations

import warnings
from copy import copy
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions

from tied_tables._text import format_quantity
from tied_tables.estimator._row_methods import RowMethods
from tied_tables.estimator._validation import (
    read_rows,
    to_dense,
    validate_training_rows,
)
from tied_tables.fit.fit import fit, fit_batch
from tied_tables.fit.plan import Parameters
from tied_tables.fit.rows import NUMERIC_FEATURES, Features
from tied_tables.model.activations import ACTIVATIONS
from tied_tables.model.training import Training

if TYPE_CHECKING:
    from tied_tables.columns import Columns

AUTO = StrOptions({"auto"})
COUNT = Interval(Integral, 1, None, closed="left")
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
INTERRUPTED = "Training was interrupted: this {} is the best so far."
EMPTY = "X has no value in the columns {}: they are not used, and reconstructed as 0."
TRIMMED = (
    "The fit of {} replaced {} by column medians, in {}: correct the data, or set"
    " trim=False. The affected rows have the highest outlier scores."
)


# So that errors on a call name this class, and not that of its parameters.
@dataclass(repr=False, eq=False)
class TiedAutoencoder(RowMethods, Parameters):
    """An autoencoder that reduces a table, reconstructs it, and detects outliers.

    Its decoder is its encoder transposed, with a gain for each unit. Some hidden units
    are linear and carry the scores of PCA, so training starts at the error of PCA, and
    the other units learn the nonlinear rest. If the network is not better than PCA on
    held-out rows, PCA replaces it (`is_pca_`). So the mean reconstruction error over
    the training rows is at most that of `sklearn.decomposition.PCA` with as many
    components, fitted to the same scaled rows, and on other rows it is not expected to
    be worse. Absurd values, which `trim` replaces, are replaced for both.

    Missing values (NaN) are imputed, and do not count in the loss. Where a tenth of all
    numbers or more is missing, Nadam trains the network to reconstruct numbers that are
    hidden from it, which imputes better; it is then compared with PCA by these numbers.

    Booleans and categories are reconstructed as probabilities, and the loss is their
    deviance, each column divided by what its best constant costs; where a network is
    compared with PCA, too. With `early_stopping=False` they are numbers of squared
    error.

    Args:
        n_components: the number of components of the code, at most
            `min(n_samples, n_features)`; a share of variance in (0, 1), for the
            smallest number with which PCA keeps it; or `"auto"`, for that from 1 to 16
            which reconstructs values best that are hidden in rows held out, which takes
            a fit for each (`comparison.compare_widths`). Defaults to 2.
        hidden_layer_sizes: the units of each hidden layer of the encoder besides the
            linear ones, a number or a sequence. Defaults to `"auto"`: two or three
            layers of twice as many units as there are features; see "What auto stands
            for" in the guide.
        activation: the activation of the hidden units: `"elu"`, `"relu"`, `"sigmoid"`,
            `"silu"` or `"tanh"`. Defaults to
            `"auto"`: `"silu"`, and `"tanh"`, which is bounded, for fewer than 1,000
            rows.
        solver: `"nadam"` takes batches, `"lbfgs"` all rows in each step. Defaults to
            `"auto"`, which is Nadam.
        scaler: `"standard"` for columns of mean 0 and variance 1, `"minmax"` for
            columns from 0 to 1, None for centred columns; `inverse_transform` undoes
            it. Errors are those of the scaled columns. Defaults to `"standard"`.
        noise: the standard deviation of Gaussian noise that is added to the scaled rows
            in training (Vincent et al., 2008). Defaults to 0.
        sparsity: the factor of the mean L1 norm of the code. Defaults to 0. With noise
            or sparsity the network is kept even where PCA's reconstruction is better.
        weight_decay: the factor of the squares of the kernels. Defaults to `"auto"`,
            which falls with the rows; see "What auto stands for" in the guide.
        categorical_features: which columns hold categories: their names, their places,
            or a mask; `"from_dtype"` for the columns of a frame that are no numbers by
            their dtype, which may be categories, text, booleans, dates and times; None
            for numbers alone. Defaults to `"from_dtype"`.
        max_iter: iterations of L-BFGS, or epochs of Nadam. Defaults to None: 500, or as
            many as the rows need; see "How long it trains" in the guide.
        batch_size: rows in a step of Nadam. Defaults to `"auto"`: 128, and 256 of many
            rows.
        learning_rate: the largest learning rate of Nadam, which rises to it for a
            twentieth of the steps and falls to 0 along a cosine. Defaults to `"auto"`:
            0.02, and less where there are more steps; see "What auto stands for" in the
            guide.
        early_stopping: whether to compare with PCA on held-out rows, and to keep the
            weights that are best for these. Of fewer than 1,000 rows, the number of
            steps is found by cross-validation, and the network learns from all rows.
            Defaults to `True`; `False` compares on training rows.
        validation_fraction: the share of rows that are held out of 1,000 and more, at
            most 20,000 rows. Of fewer rows, each of five parts is held out in turn.
            Defaults to 0.1.
        n_iter_no_change: L-BFGS stops after so many iterations without a smaller error
            on held-out rows. Defaults to 50.
        contamination: the share of the training rows that `predict` calls outliers, in
            (0, 0.5]. Defaults to 0.1.
        trim: whether the fit replaces absurd values, such as 9,999,999, by the medians
            of their columns, as they would distort it, and `score_samples` puts rows
            with a value far outside the rest of its column first. With fewer than 50
            rows, no value is absurd. Defaults to `True`.
        random_state: seed of the weights, of the order of the rows and of held-out
            rows; as in scikit-learn. Defaults to None.
        verbose: 0, 1 or 2, as in Keras. Defaults to 0.

    Attributes:
        n_components_: the number of components.
        is_pca_: whether the model is PCA, because no network was better.
        n_iter_: the number of iterations of L-BFGS, or how often Nadam went through the
            rows, until the weights that are kept.
        loss_curve_: the loss after each iteration, or in each pass of Nadam, with
            penalties; empty for PCA that was not trained.
        validation_curve_: the mean squared error of the rows held out, of scaled
            features, or the loss of classes before calibration, beside each entry of
            `loss_curve_`; of Nadam between those measured, every 25 or 200 steps. Empty
            where none were held out.
        reconstruction_r2_: the share of the variance of the training rows that is
            reconstructed, at most 1; for PCA the sum of `explained_variance_ratio_`.
            With probabilities of classes the share of deviance that is explained, which
            for numbers is R², over all columns.
        feature_r2_: the same share of each scaled number that stands for a row,
            `(n_numbers,)`, which `get_number_names_out` names: 1 for a constant one,
            NaN where all values are missing, and the column's share for each number of
            a category. It is not stored in files.
        offset_: the threshold of `score_samples` below which `predict` gives -1.
        n_trimmed_values_: the number of values that the fit replaced by the median of
            the column; the other attributes are those of such rows. It is not stored in
            files.
        n_features_in_: the number of features.
        feature_names_in_: their names, if `fit` was given a table with names.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> from tied_tables import TiedAutoencoder
        >>> X, _ = load_iris(return_X_y=True)
        >>> autoencoder = TiedAutoencoder(n_components=1, random_state=0).fit(X)
        >>> autoencoder.transform(X).shape
        (150, 1)
        >>> autoencoder.reconstruct(X[:2]).shape
        (2, 4)
    """

    _parameter_constraints = {  # noqa: RUF012
        "n_components": [AUTO, COUNT, Interval(RealNotInt, 0, 1, closed="neither")],
        "hidden_layer_sizes": [AUTO, COUNT, "array-like"],
        "activation": [StrOptions({"auto", *ACTIVATIONS})],
        "solver": [StrOptions({"auto", "lbfgs", "nadam"})],
        "scaler": [StrOptions({"standard", "minmax"}), None],
        "noise": [NOT_NEGATIVE],
        "sparsity": [NOT_NEGATIVE],
        "weight_decay": [AUTO, NOT_NEGATIVE],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "max_iter": [COUNT, None],
        "batch_size": [AUTO, COUNT],
        "learning_rate": [AUTO, Interval(Real, 0, None, closed="neither")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [COUNT],
        "contamination": [Interval(Real, 0, 0.5, closed="right")],
        "trim": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def _validate_params(self) -> None:
        n_components: Any = self.n_components
        if n_components is None or n_components == "mle":
            raise ValueError(
                f"n_components={n_components!r} of PCA is not supported: use a number"
                " of components, 'auto', or a share of variance such as 0.95."
            )
        super()._validate_params()

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
    ) -> Self:
        """Train on some rows.

        Ctrl-C ends training with the best weights so far, and with a warning. A second
        Ctrl-C raises `KeyboardInterrupt`.

        Args:
            X: the rows, `(n_samples, n_features)`: an array or a sparse matrix of
                numbers, with NaN or a mask where one is missing, or a data frame with
                columns of any kind.
            y: not used.
            sample_weight: the weight of each row, `(n_samples,)`, not negative. A row
                of weight 2 counts as two in scale, loss and scores, but as one in
                `rarity`. Training is exactly that of two rows only without gaps, with
                L-BFGS, `early_stopping=False`, and `hidden_layer_sizes` and
                `weight_decay` that do not depend on the number of rows. Defaults to 1
                each.
            X_val: rows to hold out, like those of `X`, instead of some of these or
                folds: the network is compared with PCA on them, and its weights are
                kept where their error is least. Defaults to none.

        Returns:
            The estimator.

        Raises:
            ValueError: for complex numbers, infinities, a `LazyFrame`, fewer than 2
                rows, or more components than there are rows or features; for text and
                dates where there is no frame, or `categorical_features=None`.
        """
        self._train(X, sample_weight, X_val)
        self._warn(self._model.training)
        return self

    def _train(
        self,
        X: Any,
        sample_weight: ArrayLike | None = None,
        X_val: Any = None,
        effort: float = 1,
    ) -> None:
        """Train as `fit` does, with a factor of the most steps of training."""
        # Other threads read this estimator meanwhile.
        trained = copy(self)
        X, weights, columns = validate_training_rows(
            trained, X, sample_weight, reset=True
        )
        if X_val is not None:
            if not trained.early_stopping:
                raise ValueError(
                    "X_val is not used with early_stopping=False: drop one of them."
                )
            X_val = to_dense(read_rows(trained, columns, X_val, double=True))
        features = trained._describe_features(columns)
        model = fit(
            trained, X, weights, features=features, effort=effort, validation=X_val
        )
        trained._keep(model)
        self._take_over(trained)

    def _warn(self, training: Training) -> None:
        """Warn the caller of `fit` of what it should look at."""
        warned = []
        if training.interrupted:
            warned.append(INTERRUPTED.format(type(self).__name__))
        if training.empty:
            warned.append(EMPTY.format(training.empty))
        if training.n_trimmed:
            values = format_quantity(training.n_trimmed, "absurd value")
            name = type(self).__name__
            warned.append(TRIMMED.format(name, values, list(training.trimmed)))
        for message in warned:
            warnings.warn(message, stacklevel=4)

    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train on a batch of rows, once, and keep what was learned from those before.

        The first batch decides on scale and start, as `fit` does: let it be large, and
        in random order. Training is Nadam's, at a third of its largest learning rate;
        `offset_`, `reconstruction_r2_` and what `score_samples` compares with are those
        of the last batch. Ctrl-C raises `KeyboardInterrupt` when the batch is learned.
        After a fit with probabilities of classes, training goes on with squared errors,
        and classes are numbers again.

        Args:
            X: the rows, `(n_samples, n_features)`, as in `fit`.
            y: not used.
            sample_weight: the weight of each row, `(n_samples,)`, as in `fit`.

        Returns:
            The estimator.
        """
        self._validate_params()
        trained = copy(self)
        previous_model = vars(trained).get("_model")
        X, weights, columns = validate_training_rows(
            trained, X, sample_weight, reset=previous_model is None
        )
        features = trained._describe_features(columns)
        model = fit_batch(trained, X, weights, features, previous_model)
        trained._keep(model)
        self._take_over(trained)
        if previous_model is None and model.training.empty:
            warnings.warn(EMPTY.format(model.training.empty), stacklevel=2)
        if model.training.interrupted:
            raise KeyboardInterrupt
        return self

    def _describe_features(self, columns: Columns | None) -> Features:
        """What a fit has to know of the features."""
        if columns is not None:
            return Features.of(columns)
        if hasattr(self, "feature_names_in_"):
            return Features(tuple(map(str, self.feature_names_in_)))
        return NUMERIC_FEATURES
