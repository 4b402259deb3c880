"""What `fit` leaves in an estimator: arrays, Keras models made from them, and files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from tied_tables._types import Array, StrPath
from tied_tables.model import file as _files
from tied_tables.model.file.contents import Contents, deserialize_params
from tied_tables.model.value import TableModel

if TYPE_CHECKING:
    from keras_tied import Autoencoder
    from tied_tables.columns import Columns

ABSENT = {
    "components_": (
        "a code is not linear in the features: use inverse_transform to see what a code"
        " stands for, and to_keras() for the kernels"
    ),
    "explained_variance_ratio_": (
        "the shares of nonlinear components do not add up: use reconstruction_r2_ for"
        " that of all, and feature_r2_ for what is kept of each feature"
    ),
    "singular_values_": (
        "a nonlinear code has none: use transform(X).std(axis=0) for the spread of "
        "each component"
    ),
    "mean_": "transform scales the rows by itself: use X.mean(axis=0)",
    "feature_r2_": "it is known after fit and not stored in a file",
    "n_trimmed_values_": "it is known after fit and not stored in a file",
}
"""Attributes that are looked for in vain, and what to use instead."""


class FittedState(BaseEstimator):
    """The learned attributes of `TiedAutoencoder`, and their files."""

    n_components_: int
    n_iter_: int
    is_pca_: bool
    loss_curve_: list[float]
    validation_curve_: list[float]
    reconstruction_r2_: float
    feature_r2_: Array
    n_trimmed_values_: int
    _model: TableModel

    @property
    def _columns(self) -> Columns | None:
        """What the columns of a frame are; None for numbers alone, and before `fit`."""
        model = vars(self).get("_model")
        return None if model is None else model.columns

    def to_keras(self) -> Autoencoder:
        """Make a Keras model of the trained network, which takes scaled rows.

        Its encoder gives the codes of `transform`; its output is the decoder's, which
        `reconstruct` turns into probabilities of classes. It trains, saves and exports
        as any Keras model does.

        Returns:
            A new `keras_tied.Autoencoder`, on the backend that Keras is set to.

        Raises:
            sklearn.exceptions.NotFittedError: before `fit`.
            ImportError: if keras-tied or a backend of Keras is not installed.
        """
        check_is_fitted(self)
        try:
            from tied_tables.estimator._keras import make_model
        except ModuleNotFoundError as error:
            if error.name not in ("keras", "keras_tied"):
                raise
            raise ImportError(
                "to_keras needs keras-tied, which is not installed; run pip install"
                ' "tied-tables[keras]".'
            ) from error
        return make_model(
            self._model.network,
            noise=self.noise,
            sparsity=self.sparsity,
            weight_decay=self._model.training.weight_decay,
        )

    @property
    def offset_(self) -> float:
        """The threshold of `score_samples`, which can be set."""
        check_is_fitted(self)
        return self._model.offset

    @offset_.setter
    def offset_(self, value: float) -> None:
        # Score and offset are in one value, so another thread sees both change at once.
        self._model = replace(self._model, offset=float(value))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Say what to use instead of an attribute of PCA."""
            if name in ABSENT and self.__sklearn_is_fitted__():
                raise AttributeError(
                    f"{type(self).__name__} has no {name}, as {ABSENT[name]}."
                )
            return super().__getattribute__(name)  # raises what a property has raised

    def __copy__(self) -> Self:
        """A copy with the same attributes, all of one moment."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    def _take_over(self, trained: Self) -> None:
        """Take over all attributes of a trained copy in one moment."""
        self.__dict__ = trained.__dict__

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    def _keep(self, model: TableModel) -> None:
        """Store what training has learned."""
        training = model.training
        self.n_components_ = model.n_components
        self.n_iter_ = training.n_iter
        self.is_pca_ = training.is_pca
        self.loss_curve_ = list(training.loss_curve)
        self.validation_curve_ = list(training.validation_curve)
        self.reconstruction_r2_ = training.reconstruction_r2
        if training.feature_r2 is not None:
            self.feature_r2_ = training.feature_r2
            self.n_trimmed_values_ = training.n_trimmed
        self._model = model

    def _keep_names(self, columns: Columns) -> None:
        """Store the number of columns that were given to `fit`, and their names."""
        frame = columns.frame
        names = columns.names if frame is None else frame.names
        self.n_features_in_ = len(names)
        self.__dict__.pop("feature_names_in_", None)
        if frame is None or frame.library != "numpy":
            self.feature_names_in_ = np.array(list(map(str, names)), dtype=object)

    def save(self, path: StrPath) -> None:
        """Write the fitted estimator to one file, without pickle.

        It is a file of safetensors. `load` reads it, and `tied_tables.load` the fitted
        value alone. A `random_state` that is a generator is stored as None.
        `to_keras().save` writes a Keras model.

        Args:
            path: the file, whose name ends in `.safetensors`; replaced, once all is
                written, if it exists.

        Raises:
            sklearn.exceptions.NotFittedError: before `fit`.
            ValueError: for another ending, or a parameter that only code could store.

        Examples:
            >>> import tempfile
            >>> from sklearn.datasets import load_iris
            >>> from tied_tables import TiedAutoencoder
            >>> X, _ = load_iris(return_X_y=True)
            >>> autoencoder = TiedAutoencoder(1, max_iter=5, random_state=0).fit(X)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     autoencoder.save(f"{folder}/iris.safetensors")
            ...     loaded = TiedAutoencoder.load(f"{folder}/iris.safetensors")
            >>> bool(abs(loaded.transform(X) - autoencoder.transform(X)).max() < 1e-5)
            True
        """
        check_is_fitted(self)
        params = self.get_params(deep=False)
        _files.write(path, Contents(self._model, params))

    @classmethod
    def load(cls, path: StrPath) -> Self:
        """Read what `save` has written; no code in the file is run.

        Args:
            path: the file.

        Returns:
            The fitted estimator.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is something else, incomplete or changed.
        """
        contents = _files.read(path)
        model = contents.model
        with _files.name_file(path):
            estimator = cls(**deserialize_params(contents.params))
            estimator._validate_params()
            estimator._keep(model)
            estimator.n_features_in_ = model.n_features
            if model.columns is not None:
                estimator._keep_names(model.columns)
            elif model.feature_names is not None:
                names = np.array(model.feature_names, dtype=object)
                estimator.feature_names_in_ = names
        return estimator

    def export(
        self,
        path: StrPath,
        part: Literal["encoder", "decoder", "reconstruction"] = "encoder",
        *,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> None:
        """Write a part of the estimator to an ONNX file, which any language runs.

        Missing values (NaN) are imputed; text, infinities and columns in another order
        are not refused. The file's metadata has the names of the features as
        `features`, a JSON list.

        Args:
            path: the file, whose name ends in `.onnx`.
            part: `"encoder"` for `transform`, from `X`, `(rows, n_features)`, to
                `code`, `(rows, n_components_)`; `"decoder"` for `inverse_transform`,
                from `code` to `reconstruction`, `(rows, n_features)`; or
                `"reconstruction"` for `reconstruct`, from `X` to `reconstruction`.
                Defaults to `"encoder"`.
            dtype: of input and output. `"float64"` scales in double precision, for
                columns whose mean is large beside their spread; the network always
                computes in single precision. Defaults to `"float32"`.

        Raises:
            ImportError: if the package `onnx` is not installed.
            ValueError: for another ending, part or dtype, or numbers that the dtype
                cannot hold.
            OSError: if the file cannot be written.

        Examples:
            >>> import os, tempfile
            >>> from sklearn.datasets import load_iris
            >>> from tied_tables import TiedAutoencoder
            >>> X, _ = load_iris(return_X_y=True)
            >>> autoencoder = TiedAutoencoder(1, max_iter=5, random_state=0).fit(X)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     autoencoder.export(f"{folder}/iris.onnx")
            ...     os.listdir(folder)
            ['iris.onnx']
        """
        from tied_tables.model.onnx import write_onnx

        check_is_fitted(self)
        write_onnx(self._model, path, part, dtype)
