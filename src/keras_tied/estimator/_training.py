"""Training of an estimator: preprocessing, a solver, and the choice between network and PCA."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from keras_tied._interrupts import interrupts
from keras_tied._types import Array
from keras_tied.estimator._canonical_rows import canonicalize_few_rows
from keras_tied.estimator._fences import Fences, fit_fences, keep_all
from keras_tied.estimator._fitted import (
    Fitted,
    Network,
    explained_share,
    explained_shares,
    reconstruct_scaled,
)
from keras_tied.estimator._held_out import FEW_ROWS, TrainingResult
from keras_tied.estimator._imputation import MOST_ROWS as MOST_IMPUTED_ROWS
from keras_tied.estimator._imputation import fit_network_weights
from keras_tied.estimator._layer_sizes import choose_hidden_units, count_axes
from keras_tied.estimator._moments import Moments
from keras_tied.estimator._outlier_score import (
    MOST_ROWS,
    Rows,
    fit_outlier_score,
    weighted_quantiles,
)
from keras_tied.estimator._pca import Components, pca_network, start_network, undo_projection
from keras_tied.estimator._preprocessing import Preprocessing, fit_preprocessing
from keras_tied.estimator._scaling import fit_scaling
from keras_tied.estimator._tail import fit_tail
from keras_tied.estimator._training_rows import TrainingRows

if TYPE_CHECKING:
    from keras_tied._interrupts import Interruption
    from keras_tied.autoencoder import Autoencoder
    from keras_tied.estimator._dense_network import DenseNetwork
    from keras_tied.estimator._keras_solvers import Start

FEWEST_NETWORK_ROWS = 50
"""With fewer rows, only PCA is fitted: any other structure may be noise."""
WEIGHT_DECAY = 600.0
"""Divided by n (n + 1000) for n rows."""
MISSING_MUCH = 0.1
"""From this share of missing values on, the network is trained to impute."""
HIDING_ROWS, MOST_COPIES = 20_000, 10
LEARNING_RATE, LEARNING_RATE_OF_ENCODER = 0.02, 0.003
"""Of Keras models."""


class Outcome(NamedTuple):
    """What training gives.

    Attributes:
        fitted: the fitted value; without outlier score until `Trainer.measure` adds it.
        losses: after each iteration or epoch.
        n_iter: iterations of L-BFGS or passes of Nadam over the rows.
        is_pca: whether the network is PCA.
        weight_decay: of the network.
        trainable: the model that `partial_fit` trains further, or None.
        r2: the share of the variance of the training rows that is reconstructed.
        feature_r2: that of each feature, `(d,)`.
        interrupted: whether Ctrl-C ended training, and no caller reports it.
        validation_errors: on held-out rows, as long as `losses`; empty without such rows.
        held_out: the places of rows that the network has not learned from, or None.
        n_trimmed: the number of rows that nothing was fitted to.
    """

    fitted: Fitted
    losses: list[float]
    n_iter: int
    is_pca: bool
    weight_decay: float
    trainable: Autoencoder | None = None
    r2: float = 0.0
    feature_r2: Array | None = None
    interrupted: bool = False
    validation_errors: Sequence[float] = ()
    held_out: Array | None = None
    n_trimmed: int = 0


class Trainer:
    """Trains the fitted value of a `TiedAutoencoder`.

    Args:
        estimator: its parameters and `feature_names_in_` are read, and nothing else.
        random: the generator of all random numbers. Defaults to that of `random_state`.
        moments: of all rows, where `fit` is given a sample of them, but for those beyond the
            fences. Defaults to none.
        fences: of the columns. Defaults to those of the rows.
        columns: the column that each feature belongs to, `(d,)`, from 0 on, not falling. Defaults
            to one for each.
        effort: the factor of the most steps of training. Defaults to 1.
    """

    def __init__(
        self,
        estimator: Any,
        random: np.random.RandomState | None = None,
        *,
        moments: Moments | None = None,
        fences: Fences | None = None,
        columns: Array | None = None,
        effort: int = 1,
    ) -> None:
        params = self.params = SimpleNamespace(**estimator.get_params(deep=False), effort=effort)
        self.moments, self.fences, self.columns = moments, fences, columns
        names = getattr(estimator, "feature_names_in_", None)
        self.feature_names = None if names is None else tuple(map(str, names))
        self.random = check_random_state(params.random_state) if random is None else random
        params.random_state, params.verbose = self.random, int(params.verbose)
        self.seed = self.random.randint(2**31 - 1)

    @property
    def is_own(self) -> bool:
        """Whether the network is the estimator's own, made by `build_network`."""
        return self.params.encoder is None

    @property
    def may_be_pca(self) -> bool:
        """Whether the error is all that is minimised, so that PCA may replace the network."""
        params = self.params
        return self.is_own and not (params.noise or params.sparsity or params.contraction)

    def fit(self, X: Array, weights: Array) -> Outcome:
        """Fit PCA and, where there are enough rows, a network; keep the better one."""
        X, weights, trimmed, fences = self._trim(X, weights)
        X, weights = canonicalize_few_rows(X, weights)
        self._choose_activation(len(X))
        preprocessing, rows, principal = self._fit_preprocessing(X, weights)
        outcome = Outcome(Fitted(preprocessing, pca_network(principal)), [], 1, True, 0.0)
        if not self.may_be_pca or len(X) >= FEWEST_NETWORK_ROWS:
            pca = outcome.fitted
            outcome, rows, better = self._fit_network(X, preprocessing, rows, principal)
            network = outcome.fitted.network
            if self.may_be_pca and (better is False or not _beats_pca(network, rows, principal)):
                outcome = outcome._replace(fitted=pca, is_pca=True, weight_decay=0.0, held_out=None)
        outcome = outcome._replace(fitted=self._weigh_imputations(outcome.fitted, X, weights))
        return self.measure(outcome, X, weights, trimmed, fences)

    def _trim(self, X: Array, weights: Array) -> tuple[Array, Array, Array, Fences]:
        """The rows to fit to, with their weights, the others, and the fences these are beyond."""
        fences = self.fences
        if fences is None:
            fences = fit_fences(X) if self.params.trim else keep_all(X.shape[1])
        beyond = fences.find_rows(X)
        if not beyond.any():
            return X, weights, X[:0], fences
        kept = weights[~beyond]
        return X[~beyond], kept / kept.mean(), X[beyond], fences

    def fit_batch(self, before: Callable[[], Outcome] | None, X: Array, weights: Array) -> Outcome:
        """Train on some rows once.

        Args:
            before: makes the outcome of the batches before; None for the first batch.
            X: the rows, `(n, d)`.
            weights: `(n,)`.
        """
        from keras_tied import training
        from keras_tied.estimator import _keras_solvers
        from keras_tied.estimator._seed_scope import seed_scope

        self._choose_learning_rate()
        X, weights, trimmed, fences = self._trim(X, weights)
        with training.interrupts() as is_interrupted, seed_scope(self.seed):
            outcome = self._start_network(X, weights) if before is None else before()
            model, fitted = outcome.trainable, outcome.fitted
            assert model is not None
            if not _keras_solvers.can_fit_batch(model):
                _keras_solvers.compile_for_batches(model, self.params)
            rows = self.preprocess_rows(fitted.preprocessing, X, weights)
            losses = _keras_solvers.fit_batch(model, rows, self.params)
            outcome = outcome._replace(
                fitted=replace(fitted, network=self._make_network(model, fitted.network)),
                losses=outcome.losses + losses,
                validation_errors=(),
                n_iter=outcome.n_iter + 1,
                is_pca=False,
            )
        outcome = self.measure(outcome, X, weights, trimmed, fences)
        return outcome._replace(interrupted=is_interrupted())

    def measure(
        self, outcome: Outcome, X: Array, weights: Array, trimmed: Array, fences: Fences
    ) -> Outcome:
        """Fit the outlier score, its tail and its threshold, and compute R².

        Args:
            outcome: what training gave.
            X: the rows that it was given, `(n, d)`.
            weights: `(n,)`.
            trimmed: the rows that were trimmed, `(m, d)`.
            fences: of the columns.
        """
        fitted, n = outcome.fitted, len(X)
        sums = fitted.sums_of_squares(X, weights)
        held_out = None if outcome.held_out is None else X[outcome.held_out]
        if n > MOST_ROWS:
            sample = self.random.permutation(n)[:MOST_ROWS]
            X, weights = X[sample], weights[sample]
        rows = _gather(fitted, X)
        columns = np.arange(X.shape[1]) if self.columns is None else self.columns
        scaling, gaussian = fitted.preprocessing.scaling, fitted.preprocessing.gaussian
        score = fit_outlier_score(rows, weights, columns, fences.scale(*scaling), gaussian)
        scores = score.score(rows)
        if held_out is None:
            of_others = score.score_held_out(rows, _find_optimism(outcome, sums))
        else:
            of_others = score.score(_gather(fitted, held_out))
        share = len(trimmed) / (n + len(trimmed))
        tail = fit_tail(of_others, share, float(scores.max()), n + len(trimmed))
        fitted = replace(
            fitted, outlier_score=replace(score, tail=tail), feature_names=self.feature_names
        )
        if len(trimmed):
            scores = np.concatenate([scores, fitted.outlier_scores(trimmed)])
            weights = np.append(weights, np.full(len(trimmed), len(X) / n))
        threshold = weighted_quantiles(-scores[:, None], weights, self.params.contamination)
        return outcome._replace(
            fitted=replace(fitted, offset=float(threshold[0])),
            r2=explained_share(sums),
            feature_r2=explained_shares(sums),
            n_trimmed=len(trimmed),
        )

    def preprocess_rows(
        self, preprocessing: Preprocessing, X: Array, weights: Array
    ) -> TrainingRows:
        """Preprocessed rows, in the shape that the encoder takes."""
        scaled = preprocessing.scaling.forward_in_double(X)
        complete = preprocessing.impute(scaled)
        inputs = self._reshape(complete)
        return TrainingRows(
            inputs, inputs if complete is scaled else self._reshape(scaled), weights
        )

    def make_model(self, fitted: Fitted, weight_decay: float) -> Autoencoder:
        """A new Keras model that computes what a fitted value does."""
        from keras_tied.estimator._compiled_network import CompiledNetwork
        from keras_tied.estimator._network import set_arrays

        network = fitted.network
        if isinstance(network, CompiledNetwork):
            model = copy.deepcopy(network.model)
            model.set_weights(network.weights)
        else:
            first, *hidden, n_components = network.layer_sizes
            hidden = [units - network.linear_units for units in hidden]
            self.params.activation = network.activation
            model = self._build_dense(first, n_components, hidden, weight_decay)
            set_arrays(model, network)
        model.compile(None)  # without an optimizer and its state
        return model

    def _start_network(self, X: Array, weights: Array) -> Outcome:
        """A network that computes PCA, for `fit_batch` to train."""
        self._choose_activation(len(X))
        preprocessing, _, principal = self._fit_preprocessing(X, weights)
        model, weight_decay = self._build(principal, len(X))
        self._make_model_start(model, self._choose_hidden(len(X), principal))(model, principal)
        fitted = Fitted(preprocessing, self._make_network(model))
        return Outcome(fitted, [], 0, False, weight_decay, model)

    def _fit_preprocessing(
        self, X: Array, weights: Array
    ) -> tuple[Preprocessing, TrainingRows, Components]:
        """Fit the preprocessing, and PCA of as many components as the code has units."""
        moments, scaler = self.moments, self.params.scaler
        scaling = (
            fit_scaling(X, scaler, weights) if moments is None else moments.find_scaling(scaler)
        )
        preprocessing = fit_preprocessing(X, scaling, self.random)
        rows = self.preprocess_rows(preprocessing, X, weights)
        principal = (
            moments.find_components(scaling)
            if moments is not None and moments.is_complete
            else rows.principal
        )
        preprocessing = replace(preprocessing, mean=principal.mean)
        return preprocessing, rows, principal.truncate(self._choose_n_components(X, principal))

    def _choose_n_components(self, X: Array, principal: Components) -> int:
        n_components = self.params.n_components
        if not self.is_own:
            return math.prod(self.params.encoder.output_shape[1:])
        if n_components < 1:
            return principal.n_components_for(float(n_components))
        if n_components > min(X.shape):
            raise ValueError(
                f"n_components={n_components} must be between 1 and "
                f"min(n_samples, n_features)={min(X.shape)}."
            )
        return int(n_components)

    def _fit_network(
        self, X: Array, preprocessing: Preprocessing, rows: TrainingRows, principal: Components
    ) -> tuple[Outcome, TrainingRows, bool | None]:
        """Train a network; also the rows, and whether it beat PCA on held-out ones."""
        hides = (
            self.params.solver != "lbfgs"
            and preprocessing.gaussian is not None
            and np.isnan(X).mean() >= MISSING_MUCH
        )
        if hides:
            rows = self._hide(preprocessing, X, rows.weights)
        solve = self._solve_in_jax if self._can_solve_in_jax(X, principal) else self._solve_in_keras
        with interrupts() as is_interrupted:
            network, weight_decay, result = solve(rows, principal, is_interrupted)
        outcome = Outcome(
            Fitted(preprocessing, network),
            result.losses,
            max(1, result.n_iter),
            False,
            weight_decay,
            interrupted=is_interrupted() and is_interrupted.outermost,
            validation_errors=result.validation_errors,
            held_out=result.held_out,
        )
        return outcome, rows, result.better

    def _can_solve_in_jax(self, X: Array, principal: Components) -> bool:
        from keras_tied.estimator import _jax_solver

        return _jax_solver.can_train(self.params) and bool(self._choose_hidden(len(X), principal))

    def _solve_in_jax(
        self, rows: TrainingRows, principal: Components, is_interrupted: Interruption
    ) -> tuple[Network, float, TrainingResult]:
        """Train the estimator's own network on arrays."""
        from keras_tied.estimator import _jax_solver

        n_components = principal.vectors.shape[1]
        axes = None
        if rows.targets is rows.inputs and rows.width > 2 * count_axes(n_components):
            axes = rows.principal.truncate(count_axes(n_components))
            rows = rows.project(axes)
        weight_decay = self._choose_weight_decay(rows.count)
        hidden = choose_hidden_units(self.params.hidden_layer_sizes, rows.count, rows.width)
        start = self._make_start(hidden, self.params.activation)
        network, result = _jax_solver.fit(
            start, n_components, rows, self.params, weight_decay, is_interrupted
        )
        network = network if axes is None else undo_projection(network, axes)
        return network, weight_decay, result

    def _solve_in_keras(
        self, rows: TrainingRows, principal: Components, is_interrupted: Interruption
    ) -> tuple[Network, float, TrainingResult]:
        """Train a Keras model: an `encoder`, or with noise, a penalty or L-BFGS."""
        from keras_tied.estimator import _keras_solvers
        from keras_tied.estimator._network import inference_network
        from keras_tied.estimator._seed_scope import seed_scope

        def reconstruct(model: Autoencoder, rows: Array) -> Array:
            return reconstruct_scaled(inference_network(model, self.is_own), rows)

        self._choose_learning_rate()
        with seed_scope(self.seed):
            model, weight_decay = self._build(principal, rows.count)
            n_components = principal.vectors.shape[1]
            start = self._make_model_start(model, self._choose_hidden(rows.count, principal))
            arguments = model, start, n_components, rows, self.params
            if self._is_exact(rows):
                result = _keras_solvers.fit_lbfgs(*arguments)
            else:
                result = _keras_solvers.fit_nadam(*arguments, reconstruct)
        return inference_network(model, self.is_own), weight_decay, result

    def _is_exact(self, rows: TrainingRows) -> bool:
        """Whether a Keras model is trained by L-BFGS, on all rows in each step."""
        if self.params.solver != "auto":
            return bool(self.params.solver == "lbfgs")
        return self.is_own and not self.params.noise and rows.copies == 1 and rows.count < FEW_ROWS

    def _make_network(self, model: Autoencoder, like: Network | None = None) -> Network:
        from keras_tied.estimator._network import inference_network

        return inference_network(model, self.is_own, like)

    def _hide(self, preprocessing: Preprocessing, X: Array, weights: Array) -> TrainingRows:
        """Copies of the rows, in which some values are hidden."""
        assert preprocessing.gaussian is not None
        copies = min(max(1, HIDING_ROWS // len(X)), MOST_COPIES)
        scaled = preprocessing.scaling.forward_in_double(X)
        inputs, targets = preprocessing.gaussian.hide(scaled, copies, self.random)
        return TrainingRows(
            self._reshape(inputs), self._reshape(targets), np.tile(weights, copies), copies
        )

    def _weigh_imputations(self, fitted: Fitted, X: Array, weights: Array) -> Fitted:
        """Weigh the network against the normal distribution, if there is one, at hidden values."""
        gaussian, scaling = fitted.preprocessing.gaussian, fitted.preprocessing.scaling
        if gaussian is None:
            return fitted
        sample = self.random.permutation(len(X))[:MOST_IMPUTED_ROWS]
        scaled = scaling.forward_in_double(X[sample])
        imputed, numbers = gaussian.hide(scaled, 1, self.random)
        restored = reconstruct_scaled(fitted.network, imputed)
        of_network = fit_network_weights(numbers, imputed, restored, weights[sample])
        return replace(fitted, imputation_weights=of_network)

    def _reshape(self, rows: Array) -> Array:
        """Rows in the shape that the encoder takes."""
        return rows if self.is_own else rows.reshape(-1, *self.params.encoder.input_shape[1:])

    def _build(self, principal: Components, n_rows: int) -> tuple[Autoencoder, float]:
        """A model for so many training rows, and its weight decay."""
        import keras

        from keras_tied.autoencoder import Autoencoder, mirror

        params = self.params
        if not self.is_own:
            encoder = keras.models.clone_model(params.encoder)
            return Autoencoder(encoder, mirror(encoder, gain=True), **self._get_objectives()), 0.0
        decay = self._choose_weight_decay(n_rows)
        hidden = self._choose_hidden(n_rows, principal)
        d, n_components = principal.vectors.shape
        return self._build_dense(d, n_components, hidden, decay), decay

    def _choose_activation(self, n_rows: int) -> None:
        """Replace "auto"."""
        if isinstance(self.params.activation, str) and self.params.activation == "auto":
            self.params.activation = "tanh" if n_rows < FEW_ROWS else "silu"

    def _choose_learning_rate(self) -> None:
        """Replace "auto" for a Keras model."""
        if self.params.learning_rate == "auto":
            rate = LEARNING_RATE if self.is_own else LEARNING_RATE_OF_ENCODER
            self.params.learning_rate = rate

    def _choose_weight_decay(self, n_rows: int) -> float:
        decay = self.params.weight_decay
        return WEIGHT_DECAY / (n_rows * (n_rows + FEW_ROWS)) if decay == "auto" else float(decay)

    def _choose_hidden(self, n_rows: int, principal: Components) -> list[int]:
        """The units of the hidden layers besides the linear ones; none for an `encoder`."""
        if not self.is_own:
            return []
        sizes, n_features = self.params.hidden_layer_sizes, len(principal.mean)
        return choose_hidden_units(sizes, n_rows, n_features)

    def _build_dense(
        self, n_features: int, n_components: int, hidden: list[int], weight_decay: float
    ) -> Autoencoder:
        from keras_tied.estimator._network import build_network, get_activation

        activation = get_activation(self.params.activation) if hidden else None
        return build_network(
            n_features, n_components, hidden, activation, weight_decay, **self._get_objectives()
        )

    def _get_objectives(self) -> dict[str, Any]:
        """The arguments of `Autoencoder` for what is minimised besides the error."""
        import keras

        params = self.params
        return {
            "noise": params.noise or None,
            "code_regularizer": keras.regularizers.L1(params.sparsity) if params.sparsity else None,
            "contraction": float(params.contraction),
        }

    def _make_start(
        self, hidden: Sequence[int], activation: str
    ) -> Callable[[Components], DenseNetwork]:
        """A function that makes the network before training, with the same draws each time."""
        seed = self.random.randint(2**31 - 1)
        return lambda principal: start_network(
            principal, hidden, activation, np.random.default_rng(seed)
        )

    def _make_model_start(self, model: Autoencoder, hidden: Sequence[int]) -> Start:
        """A function that sets the weights of a model before training, to the same each time."""
        from keras_tied.estimator._network import set_arrays

        if self.is_own:
            start = self._make_start(hidden, "")  # the model has it
            return lambda model, principal: set_arrays(model, start(principal))
        initial = model.get_weights()
        return lambda model, principal: model.set_weights(initial)


def _gather(fitted: Fitted, X: Array) -> Rows:
    """Rows, as the outlier score takes them."""
    blocks = fitted.fold(X, lambda part, block: fitted.outlier_rows(block))
    return Rows(*map(np.concatenate, zip(*blocks, strict=True)))


def _find_optimism(outcome: Outcome, sums: Array) -> float:
    """The error of rows held out, divided by that of training rows; 1 where none were."""
    error, count = sums[0].sum(), sums[2].sum()
    validation_errors = outcome.validation_errors
    if outcome.is_pca or not len(validation_errors) or error <= 0:
        return 1.0
    return float(min(validation_errors) * count / error)


def _beats_pca(network: Network, rows: TrainingRows, principal: Components) -> bool:
    """Whether a network's error on the training rows is at most PCA's."""
    errors = rows.errors(reconstruct_scaled(network, rows.flat))
    return bool(rows.weights @ errors <= rows.weights @ rows.pca_errors(principal))
