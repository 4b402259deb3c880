"""`TiedAutoencoder`, an autoencoder that keeps scikit-learn's conventions."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, Literal, Self

import keras
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

from keras_tied import training
from keras_tied._mirror import mirror
from keras_tied.autoencoder import Autoencoder
from keras_tied.estimator import _file, _training
from keras_tied.estimator._missing import Gaussian, gaussian
from keras_tied.estimator._network import (
    activation_of,
    hidden_units,
    network,
    require_known_shapes,
    set_to_pca,
)
from keras_tied.estimator._oddity import MOST_ROWS, oddity, percentiles
from keras_tied.estimator._pca import Components, components
from keras_tied.estimator._rows import autoencoded, blocks, restored, through
from keras_tied.estimator._scaling import scaling
from keras_tied.estimator._seeded import seeded
from keras_tied.estimator._training import Rows, Settings, Trained

Array = NDArray[Any]

FEWEST_ROWS = 50
"""With fewer rows, nothing but PCA can be told from noise."""
WEIGHT_DECAY = 0.2
MISSING_MUCH = 0.1
"""From this share of missing numbers on, filling in is what is trained."""
HIDING_ROWS, MOST_COPIES = 20_000, 10
RATE, RATE_OF_GIVEN = 0.01, 0.003


class TiedAutoencoder(
    OutlierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """An autoencoder that reduces a table, restores it, and tells which rows are odd.

    Its decoder is its encoder transposed, with a gain for each unit. Some hidden units are linear
    and carry the principal components; training starts there, at the error of PCA, and teaches the
    other units what is not a straight line. Where that does not make the rows held out from
    training better, PCA is what remains (`is_pca_`). So the reconstruction error on the training
    rows is at most that of `sklearn.decomposition.PCA` with as many components on the scaled
    columns, and on other rows it is not expected to be worse.

    Missing values (NaN) are filled in from what is there, and left out of the loss. Where a tenth
    of all numbers or more is missing, Nadam trains the network to restore numbers that are hidden
    from it, which fills in better; it is then compared with PCA by these numbers.

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
        reconstruction_r2_: the share of the variance of the training rows that is restored, at
            most 1; for PCA the sum of `explained_variance_ratio_`.
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
        require_known_shapes(self.encoder)
        X, weights = self._checked(X, sample_weight, reset=True)
        random = check_random_state(self.random_state)
        with training.interrupts() as asked, seeded(random.randint(2**31 - 1)):
            self._train(X, weights, random)
        if asked() and asked.outermost:
            warnings.warn(
                f"Training was interrupted: this {type(self).__name__} is the best so far.",
                stacklevel=2,
            )
        self._measure(X, weights, random)
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
        self._validate_params()
        require_known_shapes(self.encoder)
        first = not hasattr(self, "model_")
        X, weights = self._checked(X, sample_weight, reset=first)
        random = check_random_state(self.random_state)
        with training.interrupts() as asked, seeded(random.randint(2**31 - 1)):
            if first:
                rows, principal = self._prepared(X, weights, random)
                self.model_ = self._network(len(X))
                self._start(random)(self.model_, principal)
                self.is_pca_, self.n_iter_, self.loss_curve_ = False, 0, []
            else:
                rows = self._rows(X, weights)
            if not _training.in_batches(self.model_):
                _training.compile_for_batches(self.model_, self._settings(random))
            self.loss_curve_ += _training.one_pass(self.model_, rows, self._settings(random))
        self.n_iter_ += 1
        self._measure(X, weights, random)
        if asked():
            raise KeyboardInterrupt
        return self

    def transform(self, X: Any) -> Array:
        """The codes of some rows.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            The codes, `(n_samples, n_components_)`, in the dtype of `X`.
        """
        X = self._seen(X)
        codes = np.empty((X.shape[0], self.n_components_), X.dtype)
        for part, scaled in self._blocks(X):
            block = self._through(self.encoder_, self._shaped(self._filled(scaled)), X)
            codes[part] = block.reshape(len(block), -1)
        return codes

    def inverse_transform(self, X: Any) -> Array:
        """The rows that the decoder makes of some codes.

        Args:
            X: the codes, `(n_samples, n_components_)`.

        Returns:
            The rows, `(n_samples, n_features)`, in the units of the features.
        """
        check_is_fitted(self)
        X = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        if X.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__} has codes of "
                f"{self.n_components_}."
            )
        shape = self.decoder_.input_shape[1:]
        rows = np.empty((len(X), self.n_features_in_), X.dtype)
        for part in blocks(len(X), self.n_features_in_):
            codes = X[part].astype(np.float32).reshape(-1, *shape)
            made = self._through(self.decoder_, codes, X).reshape(-1, self.n_features_in_)
            rows[part] = self._scaling.backward(made, X.dtype)
        return rows

    def reconstruct(self, X: Any) -> Array:
        """What is left of some rows after encoding and decoding; nothing is missing there.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            The rows, `(n_samples, n_features)`, in the units of the features and the dtype of `X`.
        """
        X = self._seen(X)
        rows = np.empty((X.shape[0], self.n_features_in_), X.dtype)
        for part, scaled in self._blocks(X):
            _, made = self._autoencoded(self._filled(scaled), X)
            rows[part] = self._scaling.backward(made, X.dtype)
        return rows

    def reconstruction_error(self, X: Any, per_feature: bool = False) -> Array:
        """The squared difference between scaled rows and what is left of them.

        Args:
            X: the rows, `(n_samples, n_features)`.
            per_feature: whether to tell the features apart. Defaults to `False`: their mean.

        Returns:
            The mean over the features that are not missing, `(n_samples,)`, or the square of each,
            `(n_samples, n_features)`, with NaN where a feature is missing; float64.
        """
        X = self._seen(X)
        shape = (X.shape[0], self.n_features_in_) if per_feature else (X.shape[0],)
        errors = np.empty(shape)
        for part, scaled in self._blocks(X):
            squares = np.square(self._residuals(scaled, X), dtype=np.float64)
            errors[part] = squares if per_feature else _mean_of_present(squares)
        return errors

    def score(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """The share of the variance of some rows that is restored: R² over all scaled features.

        Args:
            X: the rows, `(n_samples, n_features)`.
            y: not used.
            sample_weight: the weight of each row, `(n_samples,)`. Defaults to 1 each.

        Returns:
            At most 1; 0 is what the mean of the training rows would get.
        """
        X = self._seen(X)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
        return self._r2(X, weights)

    def score_samples(self, X: Any) -> Array:
        """How normal some rows are: the higher, the less odd.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            Scores, `(n_samples,)` float64.
        """
        return -self._oddities(self._seen(X))

    def decision_function(self, X: Any) -> Array:
        """`score_samples` less `offset_`: negative for what `predict` calls an outlier.

        Args:
            X: the rows, `(n_samples, n_features)`.

        Returns:
            Scores, `(n_samples,)` float64.
        """
        return self.score_samples(X) - self.offset_

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
        check_is_fitted(self)
        _file.save(self, path)

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
        return _file.load(cls, path)

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
        from keras_tied import export

        check_is_fitted(self)
        export.write(self, path, part, dtype)

    def onnx_parser(self) -> Any:
        """What skl2onnx calls to learn the outputs, so that a pipeline converts by itself."""
        from keras_tied import export

        return export.parser(self)

    def onnx_shape_calculator(self) -> Any:
        """What skl2onnx calls to learn the shapes of the outputs."""
        from keras_tied import export

        return export.set_shapes

    def onnx_converter(self) -> Any:
        """What skl2onnx calls to write the operators of `transform`."""
        from keras_tied import export

        return export.convert

    @property
    def encoder_(self) -> keras.Model:
        """The encoder, a model of scaled rows."""
        return self.model_.encoder

    @property
    def decoder_(self) -> keras.Model:
        """The decoder, a model that gives scaled rows."""
        return self.model_.decoder

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _checked(self, X: Any, sample_weight: Any, reset: bool) -> tuple[Array, Array]:
        """The rows of positive weight, flat and dense, and their weights."""
        X = self._validated(X, reset)
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

    def _validated(self, X: Any, reset: bool) -> Any:
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

    def _seen(self, X: Any) -> Any:
        """Rows to look at, dense or sparse."""
        check_is_fitted(self)
        return self._validated(X, reset=False)

    def _train(self, X: Array, weights: Array, random: np.random.RandomState) -> None:
        rows, principal = self._prepared(X, weights, random)
        hiding = np.isnan(X).mean() >= MISSING_MUCH
        free = not (self.noise or self.sparsity or self.contraction) and self.encoder is None
        self.model_, trained = self._network(len(X)), Trained([], 1, False)
        if len(X) >= FEWEST_ROWS or not free:
            solver = self.solver
            if solver == "auto":
                exact = not self.noise and self.encoder is None and not hiding
                few = len(X) < _training.CROSS_VALIDATED
                solver = "lbfgs" if exact and few else "nadam"
            by = _training.by_lbfgs if solver == "lbfgs" else _training.by_nadam
            if hiding and solver == "nadam":
                rows = self._with_some_hidden(X, weights, random)
            trained = by(
                self.model_, self._start(random), self.n_components_, rows, self._settings(random)
            )
        self.loss_curve_, self.n_iter_ = trained.losses, max(1, trained.n_iter)
        self.is_pca_ = bool(
            free and not (trained.better in (True, None) and self._beats(principal, rows))
        )
        if self.is_pca_:
            self.model_ = network(self.n_features_in_, self.n_components_, (), None, 0.0)
            set_to_pca(self.model_, principal, np.random.default_rng(0))
        self.model_.compile(None)  # without the optimizer and what it keeps

    def _beats(self, principal: Components, rows: Rows) -> bool:
        """Whether the network's error on the training rows is at most PCA's."""
        errors = rows.errors(restored(self.model_, rows.inputs, len(rows.inputs)))
        of_pca = rows.pca_errors(principal)
        return bool(rows.weights @ errors <= rows.weights @ of_pca)

    def _prepared(
        self, X: Array, weights: Array, random: np.random.RandomState
    ) -> tuple[Rows, Components]:
        """Measure the rows, and bring them to what the network takes in."""
        self._scaling = scaling(X, self.scaler, weights)
        self._gaussian: Gaussian | None = None
        if np.isnan(X).any():
            self._gaussian = gaussian(self._scaling.forward(X), random)
        rows = self._rows(X, weights)
        principal = components(rows.inputs.reshape(len(X), -1), weights)
        self.n_components_ = self._width(X, principal)
        self._mean = principal.mean
        return rows, principal.first(self.n_components_)

    def _rows(self, X: Array, weights: Array) -> Rows:
        scaled = self._scaling.forward(X)
        filled = self._filled(scaled)
        inputs = self._shaped(filled)
        return Rows(inputs, inputs if filled is scaled else self._shaped(scaled), weights)

    def _with_some_hidden(self, X: Array, weights: Array, random: np.random.RandomState) -> Rows:
        assert self._gaussian is not None
        copies = min(max(1, HIDING_ROWS // len(X)), MOST_COPIES)
        inputs, targets = self._gaussian.hide(self._scaling.forward(X), copies, random)
        return Rows(self._shaped(inputs), self._shaped(targets), np.tile(weights, copies), copies)

    def _filled(self, scaled: Array) -> Array:
        if self._gaussian is not None:
            return self._gaussian.fill(scaled)
        return np.where(np.isnan(scaled), self._mean, scaled) if np.isnan(scaled).any() else scaled

    def _width(self, X: Array, principal: Components) -> int:
        if self.encoder is not None:
            return int(np.prod(self.encoder.output_shape[1:]))
        if self.n_components < 1:
            return principal.width_for(float(self.n_components))
        if self.n_components > min(X.shape):
            raise ValueError(
                f"n_components={self.n_components} must be between 1 and "
                f"min(n_samples, n_features)={min(X.shape)}."
            )
        return int(self.n_components)

    def _network(self, n: int) -> Autoencoder:
        """The network, for so many training rows, not trained yet."""
        objectives: dict[str, Any] = {
            "noise": self.noise or None,
            "code_regularizer": keras.regularizers.L1(self.sparsity) if self.sparsity else None,
            "contraction": float(self.contraction),
        }
        if self.encoder is not None:
            encoder = keras.models.clone_model(self.encoder)
            return Autoencoder(encoder, mirror(encoder, gain=True), **objectives)
        decay = WEIGHT_DECAY / n if self.weight_decay == "auto" else float(self.weight_decay)
        d, width = self.n_features_in_, self.n_components_
        hidden, activation = (
            hidden_units(self.hidden_layer_sizes, n, d),
            activation_of(self.activation),
        )
        return network(d, width, hidden, activation, decay, **objectives)

    def _start(self, random: np.random.RandomState) -> _training.Start:
        """What sets the weights of a network that is to be trained, the same ones each time."""
        seed = random.randint(2**31 - 1)
        if self.encoder is None:
            return lambda model, principal: set_to_pca(
                model, principal, np.random.default_rng(seed)
            )
        initial = self.model_.get_weights()
        return lambda model, principal: model.set_weights(initial)

    def _settings(self, random: np.random.RandomState) -> Settings:
        rate = self.learning_rate
        if rate == "auto":
            rate = RATE if self.encoder is None else RATE_OF_GIVEN
        return Settings(
            self.max_iter,
            self.batch_size,
            float(rate),
            self.validation_fraction,
            self.n_iter_no_change,
            self.early_stopping,
            random,
            int(self.verbose),
        )

    def _measure(self, X: Array, weights: Array, random: np.random.RandomState) -> None:
        """Find out how well the training rows are restored, and what is normal among them."""
        self.reconstruction_r2_ = self._r2(X, weights)
        if len(X) > MOST_ROWS:
            chosen = random.permutation(len(X))[:MOST_ROWS]
            X, weights = X[chosen], weights[chosen]
        seen = [self._looked_at(block, X) for _, block in self._blocks(X)]
        features, codes, residuals = map(np.concatenate, zip(*seen, strict=True))
        self._oddity = oddity(features, codes, residuals, weights)
        scores = -self._oddity.of(features, codes, residuals)[:, None]
        self.offset_ = float(percentiles(scores, weights, self.contamination)[0])

    def _oddities(self, X: Any) -> Array:
        oddities = np.empty(X.shape[0])
        for part, scaled in self._blocks(X):
            oddities[part] = self._oddity.of(*self._looked_at(scaled, X))
        return oddities

    def _r2(self, X: Any, weights: Array) -> float:
        lost, total = 0.0, 0.0
        for part, scaled in self._blocks(X):
            share, residuals = weights[part], self._residuals(scaled, X)
            lost += share @ np.nansum(np.square(residuals, dtype=np.float64), axis=1)
            total += share @ np.nansum(np.square(scaled - self._mean), axis=1)
        return float(1 - lost / total) if total > 0 else float(lost == 0)

    def _residuals(self, scaled: Array, X: Any) -> Array:
        """What the model adds to scaled rows, NaN where something is missing."""
        return self._autoencoded(self._filled(scaled), X)[1] - scaled

    def _looked_at(self, scaled: Array, X: Any) -> tuple[Array, Array, Array]:
        """What `Oddity` looks at."""
        filled = self._filled(scaled)
        codes, made = self._autoencoded(filled, X)
        residuals = np.where(np.isnan(scaled), np.float32(0), made - filled)
        return filled, codes.reshape(len(codes), -1), residuals

    def _blocks(self, X: Any) -> Iterator[tuple[slice, Array]]:
        """Blocks of scaled rows, and where they are."""
        for part in blocks(X.shape[0], self.n_features_in_):
            rows = X[part].toarray() if sparse.issparse(X) else X[part]
            yield part, self._scaling.forward(rows)

    def _autoencoded(self, filled: Array, X: Any) -> tuple[Array, Array]:
        """The codes of one of the blocks of `X`, and the scaled rows that are made of them."""
        rows = self._shaped(filled)
        codes, made = autoencoded(self.model_, rows, X.shape[0], self.n_features_in_)
        return codes, made.reshape(filled.shape)

    def _through(self, half: keras.Model, rows: Array, X: Any) -> Array:
        """What one half gives for one of the blocks of `X`."""
        return through(half, rows, X.shape[0], self.n_features_in_)

    def _shaped(self, rows: Array) -> Array:
        return rows if self.encoder is None else rows.reshape(-1, *self.encoder.input_shape[1:])


def _mean_of_present(squares: Array) -> Array:
    present = ~np.isnan(squares)
    return np.nansum(squares, axis=1) / np.maximum(present.sum(axis=1), 1)
