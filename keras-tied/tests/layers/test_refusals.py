"""What each layer says to arguments and inputs that it cannot use."""

from functools import partial

import keras
import numpy as np
import pytest
from keras import layers

from keras_tied.layers import (
    AuxK,
    BatchTopK,
    JumpReLU,
    KSparse,
    MaskingNoise,
    PartlyLinear,
    TiedConv,
    TiedEinsumDense,
    tie,
)

from .cases import built

ROWS = np.ones((5, 4), "float32")
CODE = np.ones((5, 9), "float32")
DENSE = layers.Dense(4, name="code")
UNBUILT = layers.Dense(3, name="code")


def make_layer(kind, shape, *arguments, **options):
    layer = getattr(layers, kind)(*arguments, **options, name="code")
    return built(layer, *shape)


def convolution(kind, *shape, **options):
    return partial(
        make_layer,
        kind,
        shape,
        8,
        3,
        **options,
    )


IMAGES = convolution("Conv2D", 10, 9, 3)
SIGNALS = convolution(
    "Conv1D",
    10,
    3,
    strides=2,
    padding="same",
)
UNKNOWN = convolution("Conv1D", None, 3, strides=2)
UPWARDS = convolution("Conv1DTranspose", 5, 3, strides=2)
STEPS = partial(
    make_layer,
    "EinsumDense",
    (3, 4),
    "abc,cd->abd",
    (3, 6),
)
SUMMED = partial(
    make_layer,
    "EinsumDense",
    (3, 4),
    "abc,cd->ad",
    6,
)


def call(code, shape, **options):
    """A layer tied to another, called on inputs of that shape."""
    return tie(code(), name="out", **options)(keras.Input(shape))


def untie(code):
    return tie(code(), untie=True)


def call_on_rows(make, **options):
    return make(**options, name="code")(ROWS)


def call_decoder(**given):
    return AuxK(DENSE)(**{"code": CODE, "rows": ROWS, "scores": CODE, **given})


REFUSED = [
    # what is called, with which arguments, and the message
    (
        TiedConv,
        [{"tied_to": DENSE}, {"tied_to": layers.ConvLSTM1D(3, 3, name="code")}],
        "TiedConv .* can be tied to a layer of class Conv1D, .*'code', a",
    ),
    (
        TiedEinsumDense,
        [{"tied_to": DENSE}],
        "tied to a layer of class EinsumDense; received 'code'",
    ),
    (
        partial(call, IMAGES),
        [{"shape": (8, 7, 5)}, {"shape": (8, 8)}],
        r"'out' is tied to 'code' .Conv2D, .* 2 spatial axes and 8 channels",
    ),
    (
        partial(call, SIGNALS),
        [{"shape": (8, 8), "transpose": False}],
        r"'out' is tied to 'code' .* 1 spatial axes and 3 channels",
    ),
    (
        partial(call, SIGNALS),
        [{"shape": (6, 8)}],
        r"outputs of 'code'.*\(5,\).*\(10,\).*of size \(6,\)",
    ),
    (
        partial(call, UPWARDS),
        [{"shape": (12, 8)}],
        r"outputs of 'code'.*\(11,\).*\(5,\).*of size \(12,\)",
    ),
    (
        partial(call, UNKNOWN),
        [{"shape": (None, 8)}],
        "'out' is to reconstruct the input of 'code'.*of a fixed size",
    ),
    (
        partial(call, SUMMED),
        [{"shape": (6,)}],
        r"'out' cannot reconstruct .* 'code'.* the axes \['b'\]",
    ),
    (
        partial(call, STEPS),
        [{"shape": (3, 7)}, {"shape": (6,)}, {"shape": (2, 3, 6)}],
        r"'out' computes 'abd,cd->abc' .* 'code', of shape \(4, 6\).* that layer,",
    ),
    (
        partial(call, STEPS),
        [{"shape": (3, 5), "transpose": False}],
        "'out' computes 'abc,cd->abd' .* that layer or inputs as it takes",
    ),
    (
        untie,
        [{"code": lambda: UNBUILT}],
        "untie=True takes .* has no kernel yet: build",
    ),
    (
        untie,
        [{"code": SIGNALS}],
        r"untie=True takes .* has a kernel of shape \(3, 3, 8\): build",
    ),
    (
        KSparse,
        [{"k": 0}, {"k": 1.5}],
        "KSparse .* positive integer as k, .*; received k=",
    ),
    (
        partial(KSparse, 3),
        [{"alpha": 0.1}, {"alpha": -1.0}],
        r"KSparse .* would keep round\(alpha \* k\) = .* and alpha=",
    ),
    (
        BatchTopK,
        [{"k": 0}],
        "BatchTopK .* positive integer as k, .*; received k=0",
    ),
    (
        partial(BatchTopK, 1),
        [{"momentum": -0.5}, {"momentum": 2}],
        "BatchTopK .* takes a momentum from 0 to 1; received momentum=",
    ),
    (
        call_on_rows,
        [{"make": KSparse, "k": 5}, {"make": BatchTopK, "k": 5}],
        r"'code' keeps k=5 .* shape \(5, 4\): feed",
    ),
    (
        JumpReLU,
        [{"threshold": 0}, {"bandwidth": 0}, {"l0_coefficient": -1}],
        "JumpReLU .* takes a threshold and a bandwidth above 0 .* received",
    ),
    (
        MaskingNoise,
        [{"rate": -0.1}, {"rate": 1.5}, {"rate": np.nan}],
        "MaskingNoise .* takes a rate from 0 to 1.* received rate=",
    ),
    (
        partial(call_on_rows, PartlyLinear, activation="tanh"),
        [{"linear_units": 5}, {"linear_units": -1}],
        r"'code' passes the first linear_units=(5|-1) .* \(5, 4\)",
    ),
    (
        AuxK,
        [{"decoder": "decoder"}],
        "decoder supplied to Wrapper isn't a supported layer type",
    ),
    (
        partial(AuxK, DENSE),
        [{"k": 0}, {"window": 0.5}, {"coefficient": -1}],
        "AuxK .* (takes|needs) .* received (k=0|window=0.5|coefficient=-1)",
    ),
    (
        call_decoder,
        [{"scores": ROWS}],
        r"scores of all units .* shape \(5, 9\) and scores of shape \(5, 4\)",
    ),
    (
        call_decoder,
        [{"rows": CODE}],
        r"that its decoder reconstructs, of 4 features; received .* \(5, 9\)",
    ),
]


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (make, arguments, message)
        for make, refused, message in REFUSED
        for arguments in refused
    ],
)
def test_what_cannot_be_is_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
