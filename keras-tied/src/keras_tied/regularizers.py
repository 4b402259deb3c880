"""Penalties on a layer's outputs and kernel, besides Keras's own, for autoencoders."""

from typing import Any

import keras
from keras import ops

from keras_tied._serializable import serializable

__all__ = ["KLSparsity", "Orthonormal"]


@serializable
class KLSparsity(keras.regularizers.Regularizer):
    r"""An activity regularizer that draws each unit's mean activation to `target`.

    As the `activity_regularizer` of a layer it adds to the loss

    $$\mathrm{factor} \sum_j \left( \rho \log \frac{\rho}{\hat\rho_j}
        + (1 - \rho) \log \frac{1 - \rho}{1 - \hat\rho_j} \right)$$

    for the target $\rho$ and the mean activation $\hat\rho_j$ of unit $j$, over the
    batch and all other axes but the last: the divergence of two Bernoulli distributions
    with these probabilities. It is the penalty of the sparse autoencoder (Ng, "Sparse
    autoencoder", CS294A lecture notes, Stanford 2011), for activations between 0 and 1,
    such as a sigmoid's; means are taken to be at least `keras.config.epsilon()` away
    from both. Keras divides what an activity regularizer gives by the number of rows;
    called directly, this one gives the undivided value.

    Args:
        target: the mean activation that costs nothing, between 0 and 1. Defaults to
            0.05.
        factor: what the sum over units is multiplied by. Defaults to 1.

    Raises:
        ValueError: if `target` is not between 0 and 1.

    Examples:
        >>> import keras
        >>> from keras_tied.regularizers import KLSparsity
        >>> penalty = KLSparsity(0.05)
        >>> layer = keras.layers.Activation("sigmoid", activity_regularizer=penalty)
        >>> _ = layer(keras.ops.zeros((8, 3)))  # three units, each 0.5 in the mean
        >>> round(float(layer.losses[0]), 4)
        1.4839
    """

    def __init__(self, target: float = 0.05, factor: float = 1.0) -> None:
        if not 0 < target < 1:
            raise ValueError(
                "KLSparsity takes as target a mean activation between 0 and 1, both"
                f" excluded; received target={target!r}: choose a small one, such as"
                " 0.05."
            )
        self.target = target
        self.factor = factor

    def __call__(self, x: Any) -> Any:
        x = _to_single_precision(x)
        units = x.shape[-1]
        n_rows = ops.cast(ops.shape(x)[0], x.dtype)
        mean = ops.mean(ops.reshape(x, (-1, units)), axis=0)
        margin = keras.config.epsilon()
        mean = ops.clip(mean, margin, 1 - margin)
        idle = 1 - self.target
        divergence = self.target * ops.log(self.target / mean)
        divergence += idle * ops.log(idle / (1 - mean))
        return self.factor * ops.sum(divergence) * n_rows

    def get_config(self) -> dict[str, Any]:
        return {"target": self.target, "factor": self.factor}


@serializable
class Orthonormal(keras.regularizers.Regularizer):
    r"""A regularizer that makes a kernel's columns, or rows, orthonormal.

    $$\mathrm{factor} \cdot \| W^\top W - I \|_F^2$$

    for a kernel $W$ with at least as many rows as columns, and $W W^\top$ for one with
    fewer: it is the shorter side that can be orthonormal. A kernel of more than two
    axes is taken as a matrix with its last axis as columns. It is the soft
    orthogonality of Bansal, Chen & Wang, "Can we gain more from orthogonality
    regularizations in training deep networks?" (NeurIPS 2018). Of a linear encoder with
    orthonormal columns, the tied decoder is the pseudo-inverse: the two project rows to
    a subspace, as PCA does. Keras's `OrthogonalRegularizer` leaves the lengths free.

    Args:
        factor: what the squared norm is multiplied by. Defaults to 0.01.

    Raises:
        ValueError: when called, if the kernel has fewer than two axes.

    Examples:
        >>> import keras
        >>> from keras_tied.regularizers import Orthonormal
        >>> kernel = 2 * keras.ops.eye(3)  # lengths of 2: (4 - 1)² for each
        >>> float(Orthonormal(0.5)(kernel))
        13.5
    """

    def __init__(self, factor: float = 0.01) -> None:
        self.factor = factor

    def __call__(self, x: Any) -> Any:
        if len(x.shape) < 2:
            raise ValueError(
                "Orthonormal takes a kernel of two or more axes; received one of shape "
                f"{tuple(x.shape)}: use it as a `kernel_regularizer`."
            )
        x = _to_single_precision(x)
        matrix = ops.reshape(x, (-1, x.shape[-1]))  # (rows, columns)
        rows, columns = matrix.shape
        if rows < columns:
            matrix = ops.transpose(matrix)
        gram = ops.matmul(ops.transpose(matrix), matrix)
        excess = gram - ops.eye(gram.shape[0], dtype=x.dtype)
        return self.factor * ops.sum(ops.square(excess))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor}


def _to_single_precision(x: Any) -> Any:
    dtype = keras.backend.result_type(x.dtype, "float32")
    return ops.cast(x, dtype)
