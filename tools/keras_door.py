"""A plugin of pytest: Keras's tests train by `keras_tied.training.fit`, and tie what
they call.

It replaces `fit` of Keras's trainer. After every eager call of a layer that can be tied
to, it checks the adjoint of the layer's linear part A: <A x, y> = <x, A' y>, A x by the
layer itself.
"""

import inspect
import json
import logging
import os
import sys
import types
from collections import Counter
from contextlib import suppress

with suppress(ImportError):  # first, since it crashes the process after TensorFlow
    import torch

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.src.backend import AutocastScope
from keras.src.backend.common.stateless_scope import in_stateless_scope

import keras_tied
from keras_tied import training

# Read now, since a test clears the environment.
RESULTS = os.environ["KERAS_DOOR_RESULTS"]
IS_OPEN = os.environ["KERAS_DOOR"] == "open"

TIED_TO = (
    layers.Dense,
    layers.EinsumDense,
    layers.Embedding,
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
)
TOLERANCES = {"float64": 1e-4, "float32": 1e-4, "float16": 2e-3, "bfloat16": 2e-2}
QUANTISED = 1e-1  # of inputs and kernel in 8 or 4 bits
counts = Counter()  # of fits and layers, by what became of them


def open_door():
    trainer = next(cls for cls in keras.Model.__mro__ if "fit" in vars(cls))
    stock_fit, stock_call = trainer.fit, keras.Layer.__call__
    at_work = []

    def fit(model, *args, **kwargs):
        if model in at_work:  # what our `fit` leaves to Keras
            return stock_fit(model, *args, **kwargs)
        counts["fit: all"] += 1
        at_work.append(model)
        try:
            return training.fit(model, *args, **kwargs)
        finally:
            at_work.remove(model)

    def call(layer, *args, **kwargs):
        outputs = stock_call(layer, *args, **kwargs)
        if isinstance(layer, TIED_TO) and args and is_eager(args[0], outputs):
            check_adjoint(layer, args[0], outputs)
        return outputs

    trainer.fit, keras.Layer.__call__ = fit, call
    logger = logging.getLogger("keras_tied.training")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(CountReasons())


class CountReasons(logging.Handler):
    """Counts why a call of `fit` was left to Keras."""

    def emit(self, record):
        counts[f"fit: {record.getMessage()}"] += 1


def is_eager(*values):
    if keras.backend.backend() == "torch" and torch.compiler.is_compiling():
        return False
    try:
        for value in values:
            ops.convert_to_numpy(value)
    except Exception:  # a tensor of a graph, in the words of each backend
        return False
    return not in_stateless_scope()


def check_adjoint(layer, inputs, outputs):
    kind = type(layer).__name__
    x, y = (ops.convert_to_numpy(each) for each in (inputs, outputs))
    y = np.random.default_rng(0).normal(size=y.shape).astype("float32")
    try:
        if isinstance(layer, layers.Embedding):
            x = np.eye(layer.input_dim, dtype="float32")
            y = y.reshape(-1, layer.output_dim)[:1]
            forward = ops.convert_to_numpy(compute(layer, np.arange(layer.input_dim)))
        else:
            forward = apply_linear(layer, x)
        adjoint = apply_linear(keras_tied.tie(layer), y)
    except ValueError as error:
        reason = str(error).split(": ")[-1]
        counts[f"layer: {kind} refused: {reason}"] += 1
        return
    forward, adjoint = forward.astype("float64"), adjoint.astype("float64")
    if isinstance(layer, layers.Embedding):
        left, right = forward @ y[0], adjoint[0]
    else:
        left, right = np.vdot(forward, y), np.vdot(x, adjoint)
    scale = np.linalg.norm(forward) * np.linalg.norm(y)
    tolerance = QUANTISED if is_quantised(layer) else TOLERANCES[layer.compute_dtype]
    np.testing.assert_allclose(right, left, atol=tolerance * scale, rtol=tolerance)
    counts[f"layer: {kind} equal"] += 1


def apply_linear(layer, x):
    """A x, without bias and activation."""
    x = ops.cast(x, layer.compute_dtype)
    if not layer.built:
        layer.build(tuple(x.shape))
    activation = layer.activation
    vars(layer)["activation"] = keras.activations.linear
    try:
        with_bias, bias = compute(layer, x), compute(layer, ops.zeros_like(x))
    finally:
        vars(layer)["activation"] = activation
    return ops.convert_to_numpy(with_bias) - ops.convert_to_numpy(bias)


def is_quantised(layer):
    return getattr(layer, "quantization_mode", None) is not None


def compute(layer, x):
    """What Keras's `__call__` computes, without the losses and masks that it adds."""
    call = layer.quantized_call if is_quantised(layer) else layer.call
    with AutocastScope(layer.compute_dtype):
        return call(x)


def skip_if_backend(backend, reason):
    return pytest.mark.skipif(keras.backend.backend() == backend, reason=reason)


def pytest_configure(config):
    # Some of Keras's tests import this from the `conftest.py` of its repository.
    sys.modules["conftest"] = types.ModuleType("conftest")
    sys.modules["conftest"].skip_if_backend = skip_if_backend
    config.addinivalue_line("markers", "requires_trainable_backend: of Keras")
    config.addinivalue_line("markers", "multi_device: of Keras")
    if IS_OPEN:
        open_door()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" or report.outcome != "passed":
        name = f"{item.path}::{item.parent.name}::{item.name}"
        source = inspect.getsource(item.function)
        text = f"{source}\n{report.longreprtext}"
        write({"test": name, "outcome": report.outcome, "text": text})


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        write(
            {
                "test": str(collector.path),
                "outcome": "failed",
                "text": report.longreprtext,
            }
        )


def pytest_sessionfinish():
    write({"test": "the end", "outcome": "end"})


def write(record):
    """Write at once, since a test may end the process."""
    with open(RESULTS, "a") as file:
        file.write(json.dumps({**record, "counts": counts}) + "\n")
    counts.clear()
