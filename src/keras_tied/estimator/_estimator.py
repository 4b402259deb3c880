"""`TiedAutoencoder`, an autoencoder that keeps scikit-learn's conventions."""

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OutlierMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from keras_tied._types import Array
from keras_tied.estimator import _serialization
from keras_tied.estimator._fitted import Fitted
from keras_tied.estimator._outlier_score import MOST_ROWS, fit_outlier_score, weighted_quantiles
from keras_tied.estimator._training import Trainer

if TYPE_CHECKING:
    import keras

    from keras_tied.autoencoder import Autoencoder

FEW_NUMBERS = 10_000
"""In this few, validation takes longer than the arithmetic."""


class TiedAutoencoder(
    OutlierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """An autoencoder that reduces a table, reconstructs it, and tells which rows are odd.

    Its decoder is its encoder transposed, with a gain for each unit. Some hidden units are linear
    and carry the principal components; training starts there, at the error of PCA, and teaches the
    other units what is not a straight line. Where that does not make the rows held out from
    training better, PCA is what remains (`is_pca_`). So the reconstruction error on the training
    rows is at most that of `sklearn.decomposition.PCA` with as many components on the scaled
    columns, and on other rows it is not expected to be worse.

    Missing values (NaN) are filled in from what is there, and left out of the loss. Where a tenth
    of all numbers or more is missing, Nadam trains the network to reconstruct numbers that are
    hidden from it, which imputes better; it is then compared with PCA by these numbers.

    Args:
        n_components: the width of the code, at most `min(n_samples, n_features)`; or a share of
            variance in (0, 1), for the smallest width with which PCA keeps it. Defaults to 2.
            Not used where an `encoder` is given.
        hidden_layer_sizes: the units of each hidden layer of the encoder besides the linear ones,
            a number or a sequence. Defaults to `"auto"`: one layer of twice as many units as there
            are features, between 64 and 512, and at most one for every eight rows.
        activation: the activation of the hidden units, a name that Keras knows or a function that
            is registered with it. Defaults to `"tanh"`.
        solver: `"lbfgs"` goes along all rows at once, `"nadam"` in batches. Defaults to `"auto"`:
            L-BFGS for fewer than 1,000 rows, where it is exact and takes a fraction of a second;
            Nadam for more, where it is faster (on 5,000 rows and more, by ten times) and ends at
            smaller errors; Nadam also where there is `noise`, or an `encoder` is given.
        scaler: `"standard"` for columns of mean 0 and variance 1, `"minmax"` for columns from 0 to
            1, None for centred columns; `inverse_transform` undoes it. Errors are those of the
            scaled columns. Defaults to `"standard"`.
        noise: the standard deviation of Gaussian noise that is added to the scaled rows in
            training, or a Keras layer that corrupts them (Vincent et al., 2008). Defaults to 0.
        sparsity: the factor of the L1 norm of the code. Defaults to 0.
        contraction: the factor of the squared Jacobian of the encoder (Rifai et al., 2011).
            Defaults to 0. With noise, sparsity or contraction the network is kept even where PCA's
            reconstruction is better.
        weight_decay: the factor of the squares of the kernels. Defaults to `"auto"`: 0.2 divided by
            the number of rows.
        encoder: a Keras model to use instead of `n_components`, `hidden_layer_sizes` and
            `activation`, with one input of known shape that has as many numbers as a row, such as
            an image. A copy with new weights is trained, and mirrored; there is no start from PCA
            and none to fall back on. Rows can have its shape or be flat. Defaults to none.
        max_iter: iterations of L-BFGS, or epochs of Nadam. Defaults to None: at most 500
            iterations, or as many epochs as make 3,000 steps, and at least one.
        batch_size: rows in a step of Nadam. Defaults to 256.
        learning_rate: the largest learning rate of Nadam, which rises to it for a twentieth of the
            steps and falls to 0 along a cosine. Defaults to `"auto"`: 0.01, and 0.003 for an
            `encoder` that is given.
        early_stopping: whether to hold rows out, to keep the best weights for these (Nadam), or
            find the best number of iterations by cross-validation and then train with all rows
            (L-BFGS), and to compare with PCA. Defaults to `True`. Without it, the comparison with
            PCA is made on the training rows alone.
        validation_fraction: the share of rows that are held out, where there are at least 1,000;
            each of five parts is held out in turn where there are fewer. Defaults to 0.1.
        n_iter_no_change: L-BFGS stops after so many iterations without a smaller error on the rows
            held out. Defaults to 50.
        contamination: the share of the training rows that `predict` calls outliers, in (0, 0.5].
            Defaults to 0.1.
        random_state: seed of the weights, of the order of the rows and of what is held out; as in
            scikit-learn. Defaults to None.
        verbose: 0, 1 or 2, as in Keras. Defaults to 0.

    Attributes:
        model_: the `keras_tied.Autoencoder`; it works on scaled rows.
        encoder_, decoder_: its halves, models.
        n_components_: the width of the code.
        is_pca_: whether the model is PCA, because no network was found that is better.
        n_iter_: the number of iterations of L-BFGS, or how often Nadam went through the rows.
        loss_curve_: the loss after each iteration or epoch, with penalties; empty for PCA that was
            not trained.
        reconstruction_r2_: the share of the variance of the training rows that is reconstructed,
            at most 1; for PCA the sum of `explained_variance_ratio_`.
        offset_: the threshold of `score_samples` below which `predict` gives -1.
        n_features_in_: the number of features.
        feature_names_in_: their names, if `fit` was given a table with names.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> from keras_tied import TiedAutoencoder
        >>> X, _ = load_iris(return_X_y=True)
        >>> autoencoder = TiedAutoencoder(n_components=1, random_state=0).fit(X)
        >>> autoencoder.transform(X).shape
        (150, 1)
        >>> autoencoder.reconstruct(X[:2]).shape
        (2, 4)
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
        ],
        "hidden_layer_sizes": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
            "array-like",
        ],
        "activation": [str, callable],
        "solver": [StrOptions({"auto", "lbfgs", "nadam"})],
        "scaler": [StrOptions({"standard", "minmax"}), None],
        "noise": [Interval(Real, 0, None, closed="left"), HasMethods(["call", "get_config"])],
        "sparsity": [Interval(Real, 0, None, closed="left")],
        "contraction": [Interval(Real, 0, None, closed="left")],
        "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "encoder": [HasMethods(["call", "get_config"]), None],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "contamination": [Interval(Real, 0, 0.5, closed="right")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _fitted: Fitted
    _trainable: Autoencoder | bytes | None
    """What `partial_fit` trains further: a compiled model or its archive; None after `fit`."""
    loss_curve_: list[float]

    def __init__(
        self,
        n_components: int | float = 2,
        *,
        hidden_layer_sizes: Any = "auto",
        activation: Any = "tanh",
        solver: Literal["auto", "lbfgs", "nadam"] = "auto",
        scaler: Literal["standard", "minmax"] | None = "standard",
        noise: Any = 0.0,
        sparsity: float = 0.0,
        contraction: float = 0.0,
        weight_decay: float | Literal["auto"] = "auto",
        encoder: keras.Model | None = None,
        max_iter: int | None = None,
        batch_size: int = 256,
        learning_rate: float | Literal["auto"] = "auto",
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 50,
        contamination: float = 0.1,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.scaler = scaler
        self.noise = noise
        self.sparsity = sparsity
        self.contraction = contraction
        self.weight_decay = weight_decay
        self.encoder = encoder
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.contamination = contamination
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train on some rows.

        Ctrl-C ends training with the best weights so far, and a warning (not within
        `keras_tied.training.interrupts`, which tells of it); while L-BFGS still looks for the
        number of iterations it raises `KeyboardInterrupt`, as a second one does always.

        Args:
            X: the rows, `(n_samples, n_features)`: an array, a sparse matrix or a data frame of
                numbers, with NaN where one is missing.
            y: not used.
            sample_weight: the weight of each row, `(n_samples,)`, not negative. A row of weight 2
                counts as two. Defaults to 1 each.

        Returns:
            The estimator.

        Raises:
            ValueError: for text, infinities, fewer than 2 rows, or more components than there are
                rows or features.
        """
        X, weights = self._check_rows(X, sample_weight, reset=True)
        trainer = Trainer(self, check_random_state(self.random_state))
        outcome = trainer.fit(X, weights)
        if outcome.interrupted:
            warnings.warn(
                f"Training was interrupted: this {type(self).__name__} is the best so far.",
                stacklevel=3,
            )
        self._trainable, self._weight_decay = None, outcome.weight_decay
        self.is_pca_, self.n_iter_, self.loss_curve_ = (
            outcome.is_pca,
            outcome.n_iter,
            outcome.losses,
        )
        self._finish(outcome.fitted, X, weights, trainer.random)
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train on a batch of rows, once, and keep what was learned from those before.

        The first batch decides on scale and start, as `fit` does: let it be large, and in random
        order. Training is Nadam's, at a third of its largest learning rate; `offset_`,
        `reconstruction_r2_` and what `score_samples` compares with are those of the last batch.
        Ctrl-C raises `KeyboardInterrupt` when the batch is learned.

        Args:
            X: the rows, `(n_samples, n_features)`, as in `fit`.
            y: not used.
            sample_weight: the weight of each row, `(n_samples,)`, as in `fit`.

        Returns:
            The estimator.
        """
        from keras_tied import training
        from keras_tied.estimator._seed_scope import seed_scope

        self._validate_params()
        first = not hasattr(self, "_fitted")
        X, weights = self._check_rows(X, sample_weight, reset=first)
        trainer = Trainer(self, check_random_state(self.random_state))
        with training.interrupts() as interrupted, seed_scope(trainer.seed):
            if first:
                fitted, model, self._weight_decay = trainer.start(X, weights)
                self.n_iter_, self.loss_curve_ = 0, []
            else:
                fitted, model = self._fitted, self._trainable_model()
            fitted, losses = trainer.fit_batch(fitted, model, X, weights)
        self.loss_curve_ = self.loss_curve_ + losses
        self.n_iter_ += 1
        self.is_pca_, self._trainable = False, model
        self._finish(fitted, X, weights, trainer.random)
        if interrupted():
            raise KeyboardInterrupt
        return self

    def transform(self, X: Any) -> Array:
        """The codes of some rows.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            The codes, `(n_samples, n_components_)`, in the dtype of `X`.
        """
        X = self._check_new_rows(X)
        return self._fitted.transform(X)

    def inverse_transform(self, X: Any) -> Array:
        """The rows that the decoder makes of some codes.

        Args:
            X: the codes, `(n_samples, n_components_)`.

        Returns:
            The rows, `(n_samples, n_features)`, in the units of the features.
        """
        check_is_fitted(self)
        X = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        fitted = self._fitted
        if X.shape[1] != fitted.n_components:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__} has codes of "
                f"{fitted.n_components}."
            )
        return fitted.inverse_transform(X)

    def reconstruct(self, X: Any) -> Array:
        """Encode and decode rows; missing values are imputed.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            The rows, `(n_samples, n_features)`, in the units of the features and the dtype of `X`.
        """
        X = self._check_new_rows(X)
        return self._fitted.reconstruct(X)

    def reconstruction_error(self, X: Any, per_feature: bool = False) -> Array:
        """The squared difference between scaled rows and their reconstructions.

        Args:
            X: the rows, `(n_samples, n_features)`.
            per_feature: whether to return the error of each feature. Defaults to `False`: the mean.

        Returns:
            The mean over the features that are not missing, `(n_samples,)`, or the square of each,
            `(n_samples, n_features)`, with NaN where a feature is missing; float64.
        """
        X = self._check_new_rows(X)
        return self._fitted.reconstruction_error(X, per_feature)

    def score(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """The share of the variance that is reconstructed: R² over all scaled features.

        Args:
            X: the rows, `(n_samples, n_features)`.
            y: not used.
            sample_weight: the weight of each row, `(n_samples,)`. Defaults to 1 each.

        Returns:
            At most 1; 0 is what the mean of the training rows would get.
        """
        X = self._check_new_rows(X)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
        return self._fitted.score(X, weights)

    def score_samples(self, X: Any) -> Array:
        """How normal rows are: the higher, the less of an outlier.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            Scores, `(n_samples,)` float64.
        """
        X = self._check_new_rows(X)
        return self._fitted.score_samples(X)

    def decision_function(self, X: Any) -> Array:
        """`score_samples` less `offset_`: negative for what `predict` calls an outlier.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            Scores, `(n_samples,)` float64.
        """
        X, fitted = self._check_new_rows(X), self._fitted
        return fitted.score_samples(X) - fitted.offset

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Tell outliers from inliers.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            -1 for each outlier and 1 for each other row, `(n_samples,)`.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file, without pickle.

        It is a Keras archive that holds the estimator's parameters and what it learned too:
        `load` reads it, on any backend, and `keras.models.load_model` the `model_` alone. A
        `random_state` that is a generator is stored as None.

        Args:
            path: the file, whose name ends in `.keras`; replaced, once all is written, if it
                exists.

        Raises:
            sklearn.exceptions.NotFittedError: before `fit`.
            ValueError: for another ending, or a parameter that only code could store.

        Examples:
            >>> import tempfile
            >>> from sklearn.datasets import load_iris
            >>> from keras_tied import TiedAutoencoder
            >>> X, _ = load_iris(return_X_y=True)
            >>> autoencoder = TiedAutoencoder(1, max_iter=5, random_state=0).fit(X)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     autoencoder.save(f"{folder}/iris.keras")
            ...     loaded = TiedAutoencoder.load(f"{folder}/iris.keras")
            >>> bool(abs(loaded.transform(X) - autoencoder.transform(X)).max() < 1e-5)
            True
        """
        self._save(path, None)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` has written; no code in the file is run.

        Layers and functions of your own, in `encoder`, `noise` or `activation`, have to be
        registered with `keras.saving.register_keras_serializable` before.

        Args:
            path: the file.

        Returns:
            The fitted estimator.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is something else, incomplete or changed.
        """
        contents = _serialization.read(path)
        with _serialization.errors_of(path):
            return cls._from_contents(contents)

    def export(
        self,
        path: str | os.PathLike[str],
        part: Literal["encoder", "decoder", "reconstruction"] = "encoder",
        *,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> None:
        """Write what was learned to an ONNX file, which runs without Python, Keras and this class.

        The file takes flat rows in the units of the features, as the input `X` of shape
        `(rows, n_features)`, or codes, as `code` of shape `(rows, n_components_)`, any number of
        them, and gives what the method gives that the part stands for. What is missing (NaN) is
        filled in as there; text, infinities and columns in another order are not refused as there.
        The names of the features are in the file's metadata as `features`, a JSON list.

        Layers and activations of an `encoder` or `activation` of the user's that have no simple
        equivalent are left to Keras's own export, which needs another package, and says which.

        Args:
            path: the file, ending in `.onnx`. It appears when it is whole.
            part: `"encoder"` for `transform`, with the output `code`; `"decoder"` for
                `inverse_transform` or `"reconstruction"` for `reconstruct`, with the output
                `reconstruction`. Defaults to `"encoder"`.
            dtype: of input and output. With `"float64"`, the mean is subtracted in double
                precision, as the methods do for such rows; single precision has lost what matters
                of a column that varies little beside its mean (it tells 1,000,000 from
                1,000,000.06 at best). The network works in single precision in either case.
                Defaults to `"float32"`.

        Raises:
            ImportError: if the package `onnx` is not installed, or what Keras needs.
            ValueError: for another ending, part or dtype, or a network that cannot be exported.
            OSError: if the file cannot be written.

        Examples:
            >>> import os, tempfile
            >>> from sklearn.datasets import load_iris
            >>> from keras_tied import TiedAutoencoder
            >>> X, _ = load_iris(return_X_y=True)
            >>> autoencoder = TiedAutoencoder(1, max_iter=5, random_state=0).fit(X)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     autoencoder.export(f"{folder}/iris.onnx")
            ...     os.listdir(folder)
            ['iris.onnx']
        """
        from keras_tied.estimator import _onnx

        check_is_fitted(self)
        _onnx.write(self._fitted, path, part, dtype, type(self).__name__)

    def onnx_parser(self) -> Any:
        """What skl2onnx calls to learn the outputs, so that a pipeline converts by itself."""
        from keras_tied.estimator import _onnx

        return _onnx.parser(self)

    def onnx_shape_calculator(self) -> Any:
        """What skl2onnx calls to learn the shapes of the outputs."""
        from keras_tied.estimator import _onnx

        return _onnx.set_shapes

    def onnx_converter(self) -> Any:
        """What skl2onnx calls to write the operators of `transform`."""
        from keras_tied.estimator import _onnx

        return _onnx.convert

    @property
    def model_(self) -> Autoencoder:
        """The autoencoder as a Keras model of scaled rows, made anew after each fit.

        It is a copy: what is changed in it does not reach the estimator.
        """
        check_is_fitted(self)
        made = vars(self).get("_model")
        if made is None or made[0] is not self._fitted:
            made = self._model = (self._fitted, self._make_model())
        return made[1]

    @property
    def encoder_(self) -> keras.Model:
        """The encoder of `model_`."""
        return self.model_.encoder

    @property
    def decoder_(self) -> keras.Model:
        """The decoder of `model_`."""
        return self.model_.decoder

    @property
    def offset_(self) -> float:
        """The threshold of `score_samples`, which can be set."""
        check_is_fitted(self)
        return self._fitted.offset

    @offset_.setter
    def offset_(self, value: float) -> None:
        # With the score in one value: another thread never sees the one without the other.
        self._fitted = replace(self._fitted, offset=float(value))

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    def __copy__(self) -> Self:
        """A copy that shares arrays, which never change, but no model that `partial_fit` trains."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__getstate__())
        other._trainable = copy.deepcopy(vars(self).get("_trainable"))
        return other

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_model"}

    def _check_rows(self, X: Any, sample_weight: Any, reset: bool) -> tuple[Array, Array]:
        """Validate training rows; returns those of positive weight, dense, and their weights."""
        if self.encoder is not None:
            from keras_tied.estimator._network import require_known_shapes

            require_known_shapes(self.encoder)
        X = self._validate(X, reset)
        weights = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True, copy=True
        )
        X = X.toarray() if sparse.issparse(X) else X
        if not weights.all():
            X, weights = X[weights > 0], weights[weights > 0]
            if len(X) < 2:
                raise ValueError(
                    f"{type(self).__name__} needs at least 2 rows of positive sample_weight, and "
                    f"was given {len(X)}."
                )
        return X, weights / weights.mean()

    def _check_new_rows(self, X: Any) -> Any:
        """Validate rows for a fitted estimator."""
        if self._is_valid(X):
            return X
        check_is_fitted(self)
        return self._validate(X, reset=False)

    def _is_valid(self, X: Any) -> bool:
        """Whether it is quickly seen that validation would change nothing and find nothing."""
        return (
            type(X) is np.ndarray
            and X.ndim == 2
            and 0 < X.size <= FEW_NUMBERS
            and X.dtype in (np.float64, np.float32)
            and X.shape[1] == getattr(self, "n_features_in_", None)
            and not hasattr(self, "feature_names_in_")
            and hasattr(self, "_fitted")
            and not np.isinf(X).any()
        )

    def _validate(self, X: Any, reset: bool) -> Any:
        shaped = self.encoder is not None and len(self.encoder.input_shape) > 2
        X = validate_data(
            self,
            X.reshape(len(X), -1) if shaped and getattr(X, "ndim", 2) > 2 else X,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            ensure_min_samples=2 if reset else 1,
            reset=reset,
        )
        if self.encoder is not None and X.shape[1] != math.prod(self.encoder.input_shape[1:]):
            raise ValueError(
                f"The encoder takes {math.prod(self.encoder.input_shape[1:])} numbers, of shape "
                f"{self.encoder.input_shape[1:]}, and X has {X.shape[1]} features."
            )
        return X

    def _make_model(self) -> Autoencoder:
        """A Keras model of its own that computes what the fitted value does."""
        if self._trainable is not None:
            return copy.deepcopy(self._trainable_model())
        return Trainer(self, np.random.RandomState(0)).make_model(self._fitted, self._weight_decay)

    def _trainable_model(self) -> Autoencoder:
        """The model that `partial_fit` trains further."""
        if isinstance(self._trainable, bytes):
            self._trainable = _serialization.load_model(self._trainable)
        return self._make_model() if self._trainable is None else self._trainable

    def _finish(
        self, fitted: Fitted, X: Array, weights: Array, random: np.random.RandomState
    ) -> None:
        """Measure a network on its training rows, and keep it."""
        self.n_components_ = fitted.n_components
        self.reconstruction_r2_ = fitted.score(X, weights)
        if len(X) > MOST_ROWS:
            chosen = random.permutation(len(X))[:MOST_ROWS]
            X, weights = X[chosen], weights[chosen]
        blocks = fitted.fold(X, lambda part, block: fitted.outlier_inputs(block))
        features, codes, residuals = map(np.concatenate, zip(*blocks, strict=True))
        outlier_score = fit_outlier_score(features, codes, residuals, weights)
        scores = -outlier_score.score(features, codes, residuals)[:, None]
        offset = float(weighted_quantiles(scores, weights, self.contamination)[0])
        names = getattr(self, "feature_names_in_", None)
        self._fitted = replace(
            fitted,
            outlier_score=outlier_score,
            offset=offset,
            feature_names=None if names is None else tuple(map(str, names)),
        )

    def _save(self, path: str | os.PathLike[str], notes: Mapping[str, Any] | None) -> None:
        """Write the estimator, and what else is to be kept beside it, as JSON has it."""
        check_is_fitted(self)
        model = self.model_ if self._trainable is None else self._trainable_model()
        _serialization.write(
            path,
            model,
            self._fitted,
            self.get_params(deep=False),
            {name: getattr(self, name) for name in _serialization.LEARNED},
            getattr(self, "feature_names_in_", None),
            notes,
        )

    @classmethod
    def _from_contents(cls, contents: _serialization.Contents) -> Self:
        estimator = cls(**_serialization.deserialize_params(contents.params))
        estimator._validate_params()
        estimator._fitted = contents.fitted
        for name, value in contents.learned.items():
            setattr(estimator, name, value)
        if contents.fitted.feature_names is not None:
            estimator.feature_names_in_ = np.array(contents.fitted.feature_names, dtype=object)
        estimator._weight_decay = contents.weight_decay
        estimator._trainable = contents.trainable
        return estimator
