"""What corrupts the input of a denoising autoencoder, besides Keras's own layers."""

from typing import Any

import keras
from keras import ops

from keras_tied._serializable import serializable
from keras_tied.layers._code_layer import CodeLayer


@serializable
class SaltAndPepperNoise(CodeLayer):
    r"""Sets features to the lowest or the highest value at random, in training.

    $$\tilde x_i = \begin{cases}
        \mathrm{low} & \text{with probability } \mathrm{rate} / 2 \\
        \mathrm{high} & \text{with probability } \mathrm{rate} / 2 \\
        x_i & \text{otherwise} \end{cases}$$

    A corruption for inputs of any shape that lie near two values, such as the pixels of
    digits (Vincent et al., "Stacked denoising autoencoders", JMLR 2010). In inference
    they pass unchanged.

    Args:
        rate: the probability, from 0 to 1.
        low, high: the lowest and the highest value of a feature. Default to 0 and 1.
        seed: an integer that makes the draws repeatable. Defaults to none.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Raises:
        ValueError: if `rate` is not between 0 and 1.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import SaltAndPepperNoise
        >>> noise = SaltAndPepperNoise(0.5, seed=0)
        >>> corrupted = noise(keras.ops.full((100, 100), 0.5), training=True)
        >>> sorted(set(keras.ops.convert_to_numpy(corrupted).ravel().tolist()))
        [0.0, 0.5, 1.0]
    """

    SETTINGS: tuple[str, ...] = ("rate", "seed", "low", "high")

    def __init__(
        self,
        rate: float,
        low: float = 0,
        high: float = 1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate <= 1:
            raise ValueError(
                f"{type(self).__name__} '{self.name}' takes a rate from 0 to 1, the"
                f" share of features that it corrupts; received rate={rate!r}."
            )
        self.rate = rate
        self.low = low
        self.high = high
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training or self.rate <= 0:
            return inputs
        # In half precision too few numbers could be drawn for small rates.
        draws = keras.random.uniform(
            ops.shape(inputs), dtype="float32", seed=self.seed_generator
        )
        low = ops.full_like(inputs, self.low)
        high = ops.full_like(inputs, self.high)
        extremes = ops.where(draws < self.rate / 2, low, high)
        return ops.where(draws < self.rate, extremes, inputs)


@serializable
class MaskingNoise(SaltAndPepperNoise):
    r"""Sets each feature to 0 with probability `rate`, in training.

    $$\tilde x_i = \begin{cases} 0 & \text{with probability } \mathrm{rate} \\
        x_i & \text{otherwise} \end{cases}$$

    The corruption of the denoising autoencoder (Vincent, Larochelle, Bengio & Manzagol,
    "Extracting and composing robust features with denoising autoencoders", ICML 2008),
    which is trained to reconstruct $x$ from $\tilde x$. `keras.layers.Dropout` also
    multiplies the other features by 1 / (1 - rate); here they stay. In inference,
    inputs of any shape pass unchanged.

    Args:
        rate: the probability, from 0 to 1.
        seed: an integer that makes the draws repeatable. Defaults to none.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Raises:
        ValueError: if `rate` is not between 0 and 1.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import MaskingNoise
        >>> noise = MaskingNoise(0.5, seed=0)
        >>> corrupted = noise(keras.ops.ones((100, 100)), training=True)
        >>> sorted(set(keras.ops.convert_to_numpy(corrupted).ravel().tolist()))
        [0.0, 1.0]
    """

    SETTINGS = ("rate", "seed")

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, 0, 0, seed, **kwargs)
