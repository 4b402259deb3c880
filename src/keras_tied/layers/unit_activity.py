"""How many units of a code are active, how many are dead, and a loss that revives them."""

from functools import partial
from typing import Any

import keras
from keras import ops

MOMENTUM = 0.99  # of the running mean of how many units are active


class UnitCounter:
    """For a layer that sees a code: how many units are active, and since when each was not."""

    def __init__(self, layer: keras.Layer, units: int | None, window: int) -> None:
        self.window = window
        add = partial(layer.add_weight, initializer="zeros", trainable=False)
        self.idle: Any = add((units,), dtype="int32", name="idle_batches")
        self.mean: Any = add((), dtype="float32", name="mean_active_units")
        self.n_batches: Any = add((), dtype="int32", name="n_batches")

    def count(self, code: Any) -> Any:
        """Count what a batch's code has; which units are dead now, `(units,)`, boolean."""
        active = ops.not_equal(code, 0)
        each = ops.sum(ops.cast(active, "float32"), axis=-1)
        was_active = ops.any(active, axis=tuple(range(len(code.shape) - 1)))
        idle = ops.where(was_active, 0, self.idle + 1)
        n_batches = self.n_batches + 1
        share = ops.maximum(1 - MOMENTUM, 1 / ops.cast(n_batches, "float32"))
        self.mean.assign(self.mean + share * (ops.mean(each) - self.mean))
        self.n_batches.assign(n_batches)
        self.idle.assign(idle)
        return idle >= self.window

    @property
    def active_units(self) -> float:
        return float(ops.convert_to_numpy(self.mean))

    @property
    def dead_units(self) -> int:
        return int((ops.convert_to_numpy(self.idle) >= self.window).sum())


@keras.saving.register_keras_serializable(package="keras_tied")
class UnitActivity(keras.Layer):
    """Passes a code on; counts, in training, how many of its units are active, and how many dead.

    `counter.active_units` is the running mean of how many numbers of a row's code are
    not 0 (L0), over about 100 batches, and `counter.dead_units` the number of units
    that were 0 for every row of the last `window` batches. The callback
    `keras_tied.training.CountUnits` writes both into the logs after each epoch.

    Input and output shape: `(batch, ..., units)`.

    Args:
        window: after how many batches without activity a unit counts as dead. Defaults
            to 1,000, as in SAELens.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Raises:
        ValueError: if `window` is not an integer from 1 on.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import UnitActivity
        >>> activity = UnitActivity(window=1)
        >>> _ = activity(keras.ops.array([[0.0, 2.0, 0.0], [0.0, 1.0, 3.0]]), training=True)
        >>> activity.counter.active_units, activity.counter.dead_units
        (1.5, 1)
    """

    def __init__(self, window: int = 1000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.window = check_window(self, window)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.counter = UnitCounter(self, input_shape[-1], self.window)

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if training:
            self.counter.count(inputs)
        return inputs

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "window": self.window}


@keras.saving.register_keras_serializable(package="keras_tied")
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
    is, it costs nothing. `counter` is that of `UnitActivity`.

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
        >>> round(decoder.counter.active_units), decoder.counter.dead_units
        (4, 0)
    """

    def __init__(
        self,
        decoder: keras.Layer,
        k: int | None = None,
        coefficient: float = 1 / 32,
        window: int = 1000,
        **kwargs: Any,
    ) -> None:
        if not isinstance(decoder, keras.Layer):
            raise ValueError(
                f"AuxK takes a layer as its decoder; received {decoder!r} "
                f"({type(decoder).__name__}): pass the layer object itself."
            )
        super().__init__(decoder, autocast=False, **kwargs)
        if k is not None and (not isinstance(k, int) or k < 1):
            raise ValueError(
                f"AuxK '{self.name}' takes as k a number of units, an integer from 1"
                f" on, or None; received k={k!r}."
            )
        if not coefficient >= 0:
            raise ValueError(
                f"AuxK '{self.name}' takes a coefficient of 0 or more; received "
                f"coefficient={coefficient!r}."
            )
        self.k, self.coefficient, self.window = (
            k,
            coefficient,
            check_window(self, window),
        )

    def build(
        self,
        code_shape: tuple[int | None, ...],
        rows_shape: tuple[int | None, ...],
        scores_shape: tuple[int | None, ...],
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
        self.counter = UnitCounter(self, code_shape[-1], self.window)

    def call(
        self, code: Any, rows: Any, scores: Any, training: bool | None = False
    ) -> Any:
        outputs = self.layer(code)
        if not training:
            return outputs
        dead = self.counter.count(code)
        if self.coefficient:
            lacks = ops.stop_gradient(ops.cast(rows, outputs.dtype) - outputs)
            loss = ops.cond(
                ops.any(dead),
                lambda: self.compute_auxiliary_loss(lacks, scores, dead),
                lambda: ops.zeros((), "float32"),
            )
            self.add_loss(loss)
        return outputs

    def compute_auxiliary_loss(self, lacks: Any, scores: Any, dead: Any) -> Any:
        """The loss of what is left over, `(batch, ..., features)`, and of which units are dead."""
        units = scores.shape[-1]
        k = min(self.k or max(1, lacks.shape[-1] // 2), units)
        candidates = ops.where(dead, scores, ops.full_like(scores, -float("inf")))
        least = ops.min(
            ops.top_k(ops.stop_gradient(candidates), k)[0], axis=-1, keepdims=True
        )
        chosen = ops.logical_and(dead, scores >= least)
        revived = self.layer(ops.where(chosen, scores, ops.zeros_like(scores)))
        bias = self.layer(ops.zeros_like(scores[:1]))
        share = ops.minimum(1.0, ops.sum(ops.cast(dead, "float32")) / k)
        error = ops.mean(ops.square(ops.cast(lacks - (revived - bias), "float32")))
        return self.coefficient * share * error

    def compute_output_shape(
        self,
        code_shape: tuple[int | None, ...],
        rows_shape: tuple[int | None, ...],
        scores_shape: tuple[int | None, ...],
    ) -> tuple[int | None, ...]:
        return tuple(self.layer.compute_output_shape(code_shape))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        names = ("k", "coefficient", "window")
        return {**config, **{name: getattr(self, name) for name in names}}


def check_window(layer: keras.Layer, window: int) -> int:
    """The window of a layer, if it is a number of batches."""
    if not isinstance(window, int) or window < 1:
        raise ValueError(
            f"{type(layer).__name__} '{layer.name}' takes as window a number of"
            f" batches, an integer from 1 on; received window={window!r}."
        )
    return window
