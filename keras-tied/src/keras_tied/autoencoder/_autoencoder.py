"""`Autoencoder`: an encoder and its decoder, trained to reconstruct the input."""

import math
from numbers import Real
from typing import Any, Literal, Self

import keras
import numpy as np
from keras import Layer, Model, layers, ops
from numpy.typing import NDArray

from keras_tied import training
from keras_tied._keras_internals import UnlockedModel
from keras_tied._serializable import serializable
from keras_tied._types import Config, Shape, StrPath
from keras_tied.autoencoder._mirror import fits, mirror
from keras_tied.autoencoder._pca_init import start_from_pca

HALVES = ("encoder", "decoder")
BATCH_SIZE = 1024  # where nothing is trained: no gradients are kept


@serializable
class Autoencoder(UnlockedModel):
    r"""An encoder and its decoder as one model, which learns to reconstruct its input.

    It is a `keras.Model` in every respect, and needs no targets: `fit(x)`,
    `evaluate(x)` and whatever yields rows alone compare the output with the input. For
    an encoder $e$, a decoder $d$, noise $\nu$ and a code regularizer $R$, training
    minimises

    $$\mathrm{loss}\left(x, d(e(\nu(x)))\right) + R\left(e(\nu(x))\right) .$$

    With noise this is a denoising autoencoder (Vincent et al., "Extracting and
    composing robust features with denoising autoencoders", ICML 2008).

    Args:
        encoder: a model with one input and one output, whose input shape is known.
        decoder: a model from the encoder's output to its input. Defaults to
            `mirror(encoder)`, a decoder with tied weights.
        noise: what corrupts the input, and not the target, while training: the standard
            deviation of a `keras.layers.GaussianNoise`, or a layer, such as a
            `Dropout`. Defaults to none.
        code_regularizer: a `keras.regularizers.Regularizer` on the code, or its name,
            weighted as Keras does an `activity_regularizer`: divided by the number of
            rows. Defaults to none.
        **kwargs: `name`, `dtype` and `trainable` of `keras.Model`.

    Each is an attribute of the same name; `noise` is a layer or None. No half can be
    replaced, as the two are tied to each other: make another `Autoencoder`.

    Raises:
        ValueError: if the shapes of the halves do not fit or are not known.

    Examples:
        >>> import keras, numpy as np
        >>> from keras_tied import Autoencoder
        >>> encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> autoencoder = Autoencoder(encoder, noise=0.1)
        >>> autoencoder.compile()
        >>> history = autoencoder.fit(np.eye(4), epochs=3, verbose=0)
        >>> autoencoder.encode(np.eye(4)).shape
        (4, 2)
    """

    def __init__(
        self,
        encoder: Model,
        decoder: Model | None = None,
        *,
        noise: float | Layer | None = None,
        code_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        # The encoder casts its input, as it does without an autoencoder around it.
        super().__init__(autocast=False, **kwargs)
        input_shape = _find_input_shape(encoder)
        if decoder is None:
            decoder = mirror(encoder)
        self.encoder = encoder
        self.decoder = _check_model(decoder, "decoder")
        self.noise = _get_noise(noise)
        self.code_regularizer = keras.regularizers.get(code_regularizer)
        self.build(input_shape)

    def __setattr__(self, name: str, value: Any) -> None:
        is_fixed = name in HALVES and getattr(self, "built", False)
        if is_fixed and value is not getattr(self, name):
            raise AttributeError(
                f"The {name} of '{self.name}' cannot be replaced, as its halves are"
                f" tied to each other: make an Autoencoder of the other {name}, or set"
                " the weights of this one."
            )
        super().__setattr__(name, value)

    @property
    def inputs(self) -> Any:
        """Those of the encoder; a subclassed one has none."""
        return self.encoder.inputs

    @property
    def input_shape(self) -> Any:
        """That of the encoder."""
        return self.encoder.input_shape

    @property
    def output_shape(self) -> Any:
        """That of the decoder."""
        return self.decoder.output_shape

    def build(self, input_shape: Shape) -> None:
        """Join the halves in one graph, in which ties find their partners."""
        inputs = keras.Input(batch_shape=input_shape)
        code = self.encoder(inputs)
        expected = getattr(self.decoder, "input_shape", code.shape)
        if not fits(code.shape, expected):
            raise ValueError(
                f"The decoder '{self.decoder.name}' takes in {expected}, and the"
                f" encoder '{self.encoder.name}' gives {code.shape}: build the decoder"
                " for this shape, or leave it out to have the encoder mirrored."
            )
        reconstruction = self.decoder(code)
        if not fits(reconstruction.shape, inputs.shape):
            raise ValueError(
                f"The decoder '{self.decoder.name}' gives {reconstruction.shape}, and"
                f" the encoder '{self.encoder.name}' takes in {inputs.shape}: end the"
                " decoder with a layer that gives this shape, or leave it out to have"
                " the encoder mirrored."
            )
        if self.noise is not None:
            self.noise(inputs)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        noisy = self.noise(inputs, training=True) if training and self.noise else inputs
        code = self.encoder(noisy, training=training)
        if self.code_regularizer is not None:
            rows = ops.cast(ops.shape(code)[0], code.dtype)
            self.add_loss(ops.divide_no_nan(self.code_regularizer(code), rows))
        return self.decoder(code, training=training)

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = "mse",
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.compile`; the loss compares outputs with the clean input."""
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras does not trust a `compile` of another signature; ours takes the same
        # arguments.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """The loss against `y` or, where there is none, the clean input `x`."""
        return super().compute_loss(x, _make_target(x, y), *args, **kwargs)

    def compute_metrics(
        self,
        x: Any,
        y: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        return super().compute_metrics(x, _make_target(x, y), *args, **kwargs)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        *,
        start: Literal["pca"] | None = None,
        checkpoint: StrPath | None = None,
    ) -> keras.callbacks.History:
        """Train the model to reconstruct `x`, as `keras_tied.training.fit` does.

        There is one more: `start="pca"` calls `start_from_pca` first, with the rows
        that `validation_split` does not hold out; the default, None, starts from the
        weights there are. Rows are compared with `y` or, by default, with themselves;
        those that are held out likewise, so that `validation_data` may be `x_val`
        alone. Batches may be rows alone.

        Raises:
            ValueError: if `start` is another word, or as `start_from_pca` and Keras do.
        """
        if start == "pca":
            n_rows = math.floor(len(x) * (1 - validation_split))
            self.start_from_pca(x[:n_rows])
        elif start is not None:
            raise ValueError(
                "`start` is 'pca', or None to start from the current weights; received"
                f" {start!r}: give one of these."
            )
        if isinstance(validation_data, tuple) and len(validation_data) == 3:
            x_val, y_val, weights = validation_data
            validation_data = x_val, _get_target(x_val, y_val, weights), weights
        return training.fit(
            self,
            x,
            _get_target(x, y, sample_weight),
            batch_size,
            epochs,
            verbose,
            callbacks,
            validation_split,
            validation_data,
            shuffle,
            class_weight,
            sample_weight,
            initial_epoch,
            steps_per_epoch,
            validation_steps,
            validation_batch_size,
            validation_freq,
            checkpoint=checkpoint,
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """The loss and the metrics, as `keras.Model.evaluate` gives them.

        Rows are compared with `y` or, by default, with themselves. Batches may be rows
        alone.
        """
        target = _get_target(x, y, sample_weight)
        return super().evaluate(x, target, batch_size, verbose, sample_weight, **kwargs)

    def export(self, filepath: StrPath, *args: Any, **kwargs: Any) -> None:
        """As `keras.Model.export`, also before the model was first called."""
        self(keras.Input(batch_shape=self.input_shape))  # Keras demands a call
        super().export(filepath, *args, **kwargs)

    def start_from_pca(self, x: Any) -> None:
        """Set the weights so that training begins at the error of PCA, and falls.

        The first kernel holds the principal components. The first units of each layer
        carry the scores where its activation is nearly linear; the others do not
        contribute before they are trained. The error on `x` is that of
        `sklearn.decomposition.PCA` with as many components as the code, to 0.1 %; where
        the encoder begins with a Normalization, of the normalised rows. The error falls
        from there if steps are small: smaller for `tanh` and `sigmoid` than `relu`.

        Args:
            x: the rows, an array `(n, ...)`, at least as many as the code has units.

        Raises:
            ValueError: if the encoder is not a chain of Dense layers with biases, each
                of at least as many units as the code has components; if the decoder is
                not its mirror, with gains (`mirror(encoder, gain=True)`) unless all is
                linear, and a linear output; or if no region is found.

        Examples:
            >>> import keras, numpy as np
            >>> from keras_tied import Autoencoder
            >>> x = np.random.default_rng(0).normal(size=(90, 6)).cumsum(axis=1)
            >>> hidden = keras.layers.Dense(12, activation="tanh")
            >>> layers = [keras.Input((6,)), hidden, keras.layers.Dense(2)]
            >>> autoencoder = Autoencoder(keras.Sequential(layers))
            >>> autoencoder.start_from_pca(x)
            >>> pca_error = np.linalg.eigvalsh(np.cov(x.T, bias=True))[:-2].sum() / 6
            >>> bool(autoencoder.reconstruction_error(x).mean() < 1.001 * pca_error)
            True
        """
        start_from_pca(self.encoder, self.decoder, x)

    def encode(
        self,
        x: Any,
        batch_size: int | None = BATCH_SIZE,
        verbose: int = 0,
    ) -> NDArray[Any]:
        """The code, `(n, ...)`, of rows, `(n, ...)`; as `keras.Model.predict`."""
        return np.asarray(self.encoder.predict(x, batch_size, verbose))

    def decode(
        self,
        code: Any,
        batch_size: int | None = BATCH_SIZE,
        verbose: int = 0,
    ) -> NDArray[Any]:
        """The rows, `(n, ...)`, that the decoder makes of codes; as `encode`."""
        return np.asarray(self.decoder.predict(code, batch_size, verbose))

    def reconstruction_error(
        self,
        x: Any,
        per_feature: bool = False,
        batch_size: int | None = BATCH_SIZE,
    ) -> NDArray[Any]:
        """The squared difference of rows, `(n, ...)`, and their reconstructions.

        The mean over the features, `(n,)`, or `per_feature`, in the shape of `x`.
        """
        x = x.toarray() if hasattr(x, "toarray") else np.asarray(x)
        reconstruction = np.asarray(self.predict(x, batch_size, verbose=0))
        errors: NDArray[Any] = np.square(reconstruction - x)
        return errors if per_feature else errors.reshape(len(errors), -1).mean(axis=1)

    def get_config(self) -> Config:
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "encoder": serialize(self.encoder),
            "decoder": serialize(self.decoder),
            "noise": serialize(self.noise),
            "code_regularizer": keras.regularizers.serialize(self.code_regularizer),
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        config = dict(config)
        for part in (*HALVES, "noise"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


def _get_target(x: Any, y: Any, sample_weight: Any) -> Any:
    """The target; `x` where there are weights, which Keras ignores without a target."""
    return x if y is None and sample_weight is not None else y


def _make_target(x: Any, y: Any) -> Any:
    """What a loss compares with: Keras hands on SciPy's sparse rows as they are."""
    target = x if y is None else y
    return (
        ops.convert_to_tensor(target, sparse=False) if ops.is_tensor(target) else target
    )


def _check_model(half: Any, role: str) -> Model:
    if isinstance(half, Model):
        return half
    layer_name = f" '{half.name}'" if isinstance(half, Layer) else ""
    raise ValueError(
        "An Autoencoder is made of two models; received"
        f" {type(half).__name__}{layer_name} as its {role}: put a layer into a"
        " keras.Sequential with a keras.Input of its input shape."
    )


def _find_input_shape(encoder: Any) -> Shape:
    inputs = getattr(_check_model(encoder, "encoder"), "inputs", None) or []
    if len(inputs) > 1:
        raise ValueError(
            f"An Autoencoder takes an encoder with one input; '{encoder.name}' has"
            f" {len(inputs)}: concatenate them, or train the models of the parts one by"
            " one."
        )
    if inputs:
        return tuple(inputs[0].shape)
    shape = (encoder.get_build_config() or {}).get("input_shape")
    if shape is None:
        raise ValueError(
            "An Autoencoder needs to know what its encoder takes in, and"
            f" '{encoder.name}' ({type(encoder).__name__}) has no input shape yet:"
            " start it with a `keras.Input`, or call it on data once."
        )
    return (None, *shape[1:])


def _get_noise(noise: Any) -> Layer | None:
    if noise is None or isinstance(noise, Layer):
        return noise
    if isinstance(noise, Real):
        return layers.GaussianNoise(float(noise), name="noise")
    raise ValueError(
        f"`noise` is a standard deviation or a Keras layer; received {noise!r}"
        f" ({type(noise).__name__}): give a number, or for example"
        " keras.layers.Dropout(0.1)."
    )
