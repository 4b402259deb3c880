"""A loss that revives dead units, and how many units of a code are active, or dead."""

from typing import Any

import keras
from keras import Layer, Variable, ops

from keras_tied._serializable import serializable
from keras_tied._types import Config, Shape
from keras_tied.layers._code_layer import check_count

MOMENTUM = 0.99  # of the running mean of how many units are active


@serializable
class AuxK(keras.layers.Wrapper):
    r"""A decoder of a sparse code that asks dead units for what is left over.

    In training,

    $$\mathrm{coefficient} \cdot \min\left(1, \frac{d}{k}\right)
        \cdot \operatorname{mean}\left((x - \hat x - D z)^2\right)$$

    is added to the loss: of the $d$ dead units the `k` of a row's largest scores, $z$,
    decoded
    without a bias, shall give what the reconstruction $\hat x$ lacks, which is held
    fixed (Gao et al., "Scaling and evaluating sparse autoencoders", 2024, arXiv
    2406.04093, A.2; the factor of fewer dead units than `k` as in SAELens). A unit is
    dead that was 0 for every row of the last `window` batches of training. While none
    is, it costs nothing.

    `active_units` is the running mean of how many numbers of a row's code are not 0
    (L0), over about 100 batches, and `dead_units` the number of dead units. The
    callback `keras_tied.training.CountUnits` writes both into the logs after each
    epoch. With a `coefficient` of 0 the layer counts, and adds nothing.

    It is called with the code, with the rows and with the scores of all units, which
    the code is taken from, and gives what the decoder gives: `(batch, ..., features)`.

    Args:
        decoder: a linear layer, from `(batch, ..., units)` to `(batch, ..., features)`.
        k: how many dead units of a row. Defaults to half as many as the rows have
            features.
        coefficient: the factor of what is added to the loss. Defaults to 1/32, as in
            the paper.
        window: after how many batches without activity a unit counts as dead. Defaults
            to 1,000, as in SAELens.
        **kwargs: `name` and `trainable` of `keras.layers.Layer`. The decoder computes
            in the dtype of its own policy.

    Raises:
        ValueError: if `decoder` is not a layer, `k` or `window` not an integer from 1
            on, or `coefficient` negative.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import AuxK, KSparse, tie
        >>> inputs = keras.Input((8,))
        >>> encoder = keras.layers.Dense(32)
        >>> scores = encoder(inputs)
        >>> decoder = AuxK(tie(encoder, untie=True))
        >>> outputs = decoder(KSparse(4)(scores), rows=inputs, scores=scores)
        >>> model = keras.Model(inputs, outputs)
        >>> model.compile("adam", "mse")
        >>> rows = keras.random.normal((64, 8), seed=0)
        >>> _ = model.fit(rows, rows, verbose=0)
        >>> round(decoder.active_units), decoder.dead_units
        (4, 0)
    """

    def __init__(
        self,
        decoder: Layer,
        k: int | None = None,
        coefficient: float = 1 / 32,
        window: int = 1000,
        **kwargs: Any,
    ) -> None:
        super().__init__(decoder, autocast=False, **kwargs)
        if k is not None:
            check_count(self, "k", k)
        check_count(self, "window", window, "batches")
        if not coefficient >= 0:
            raise ValueError(
                f"AuxK '{self.name}' takes a coefficient of 0 or more; received "
                f"coefficient={coefficient!r}."
            )
        self.k = k
        self.coefficient = coefficient
        self.window = window

    def build(
        self,
        code_shape: Shape,
        rows_shape: Shape,
        scores_shape: Shape,
    ) -> None:
        if scores_shape[-1] != code_shape[-1]:
            raise ValueError(
                f"AuxK '{self.name}' takes the scores of all units of the code;"
                f" received a code of shape {tuple(code_shape)} and scores of shape"
                f" {tuple(scores_shape)}."
            )
        if not self.layer.built:
            self.layer.build(code_shape)
        features = self.layer.compute_output_shape(code_shape)[-1]
        if rows_shape[-1] != features:
            raise ValueError(
                f"AuxK '{self.name}' takes the rows that its decoder reconstructs, of"
                f" {features} features; received rows of shape {tuple(rows_shape)}."
            )

        def add(name: str, dtype: str, shape: Shape = ()) -> Variable:
            return self.add_weight(shape, "zeros", dtype, trainable=False, name=name)

        self.idle = add("idle_batches", "int32", code_shape[-1:])
        self.mean = add("mean_active_units", "float32")
        self.n_batches = add("n_batches", "int32")

    def call(
        self,
        code: Any,
        rows: Any,
        scores: Any,
        training: bool | None = False,
    ) -> Any:
        outputs = self.layer(code)
        if not training:
            return outputs
        dead = self.count(code)
        if self.coefficient:
            lacks = ops.stop_gradient(ops.cast(rows, outputs.dtype) - outputs)
            loss = ops.cond(
                ops.any(dead),
                lambda: self.compute_auxiliary_loss(lacks, scores, dead),
                lambda: ops.zeros((), "float32"),
            )
            self.add_loss(loss)
        return outputs

    def count(self, code: Any) -> Any:
        """Count what a batch's code has; which units are dead now, `(units,)`."""
        units = code.shape[-1]
        active = ops.reshape(ops.not_equal(code, 0), (-1, units))  # (rows, units)
        counts = ops.sum(ops.cast(active, "float32"), axis=-1)
        idle = ops.where(ops.any(active, axis=0), 0, self.idle + 1)
        n_batches = self.n_batches + 1
        # A plain mean at first, then a running one.
        share = ops.maximum(1 - MOMENTUM, 1 / ops.cast(n_batches, "float32"))
        change = ops.mean(counts) - self.mean
        self.mean.assign(self.mean + share * change)
        self.n_batches.assign(n_batches)
        self.idle.assign(idle)
        return idle >= self.window

    @property
    def active_units(self) -> float:
        return float(ops.convert_to_numpy(self.mean))

    @property
    def dead_units(self) -> int:
        idle = ops.convert_to_numpy(self.idle)
        return int((idle >= self.window).sum())

    def compute_auxiliary_loss(self, lacks: Any, scores: Any, dead: Any) -> Any:
        """The loss of what is left over, `(batch, ..., features)`, by dead units."""
        features, units = lacks.shape[-1], scores.shape[-1]
        k = min(self.k or max(1, features // 2), units)
        least_of_all = ops.full_like(scores, -float("inf"))
        candidates = ops.where(dead, scores, least_of_all)
        largest, _ = ops.top_k(ops.stop_gradient(candidates), k)
        least = ops.min(largest, axis=-1, keepdims=True)
        mask = ops.logical_and(dead, scores >= least)
        code = ops.where(mask, scores, ops.zeros_like(scores))
        outputs = self.layer(code)
        bias = self.layer(ops.zeros_like(scores[:1]))
        errors = ops.cast(lacks - (outputs - bias), "float32")
        n_dead = ops.sum(ops.cast(dead, "float32"))
        share = ops.minimum(1.0, n_dead / k)
        return self.coefficient * share * ops.mean(ops.square(errors))

    def compute_output_shape(
        self,
        code_shape: Shape,
        rows_shape: Shape,
        scores_shape: Shape,
    ) -> Shape:
        return tuple(self.layer.compute_output_shape(code_shape))

    def get_config(self) -> Config:
        settings = {"coefficient": self.coefficient, "window": self.window}
        return {**super().get_config(), "k": self.k, **settings}
