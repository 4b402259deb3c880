"""The conditional means of missing values, in the operators of ONNX."""

import numpy as np
import onnx
from onnx import helper

from keras_tied._types import Array
from keras_tied.fitted.gaussian import Gaussian, Pieces
from keras_tied.fitted.imputation import Preprocessing
from keras_tied.fitted.layout import CATEGORY, NUMBER
from keras_tied.fitted.onnx._graph import Graph

TOLERANCE = (
    1e-12  # the length of the residual at the end, relative to the one at the start
)
MOST_STEPS = 10  # for each feature; in exact arithmetic one would do


def add_imputation(graph: Graph, preprocessing: Preprocessing, scaled: str) -> str:
    r"""Add the imputation of scaled rows, `(n, d)` float32, of `Preprocessing.impute`.

    The missing part m of a row less its mean solves $P_{mm} x_m = -P_{mo} x_o$, with
    another matrix for each row, which ONNX has no operator for. Conjugate gradients
    (Hestenes & Stiefel, 1952; preconditioned with the diagonal) need none: they
    multiply whole rows by P, all rows at once, and end at the solution. All in double
    precision, as in NumPy. Pieces of numbers are added before, and classes chosen
    after.
    """
    missing = graph.add("IsNaN", scaled)
    gaussian = preprocessing.gaussian or Gaussian(preprocessing.mean)
    if gaussian.precision is None:
        return graph.add(
            "Where", missing, graph.constant(gaussian.mean, np.float32), scaled
        )
    mean = graph.constant(gaussian.mean, np.float64, "mean_of_scaled")
    precision = graph.constant(gaussian.precision, np.float64, "precision")
    zero = graph.constant(0.0, np.float64)
    rows, gaps = graph.cast(scaled, np.float64), missing
    if gaussian.pieces is not None:
        rows, gaps = _add_pieces(graph, gaussian.pieces, rows, gaps)
    present = graph.add("Where", gaps, zero, graph.add("Sub", rows, mean))
    right_side = graph.add("Neg", graph.add("MatMul", present, precision))
    right_side = graph.add("Where", gaps, right_side, zero)
    solution = _add_solution(graph, gaussian.precision, right_side, gaps)
    result = graph.cast(graph.add("Add", solution, mean), np.float32)
    if gaussian.pieces is not None:
        result = _gather(graph, result, np.arange(len(preprocessing.mean)))
    if preprocessing.layout.has_classes:
        result = _choose_classes(graph, preprocessing, result)
    return graph.add("Where", missing, result, scaled)


def _add_pieces(
    graph: Graph, pieces: Pieces, rows: str, missing: str
) -> tuple[str, str]:
    """Rows with their pieces beside them, and where these are missing."""
    values = _gather(graph, rows, pieces.features)
    for op, numbers in zip(("Max", "Min", "Sub", "Div"), pieces[1:], strict=True):
        values = graph.add(op, values, graph.constant(numbers, np.float64, "pieces"))
    both = graph.add(
        "Concat", missing, _gather(graph, missing, pieces.features), axis=1
    )
    return graph.add("Concat", rows, values, axis=1), both


def _choose_classes(graph: Graph, preprocessing: Preprocessing, means: str) -> str:
    """The likeliest class of each column, as `Preprocessing.impute` chooses it."""
    layout, (shift, scale) = preprocessing.layout, preprocessing.scaling
    likely = graph.add("Mul", means, graph.constant(scale, np.float32))
    likely = graph.add("Add", likely, graph.constant(shift, np.float32))
    is_on = graph.cast(
        graph.add("Greater", likely, graph.constant(0.5, np.float32)), np.float32
    )
    if layout.categories:
        parts = [_gather(graph, likely, np.r_[part]) for part in layout.categories]
        likeliest = [graph.add("Hardmax", part, axis=1) for part in parts]
        places, is_category = np.arange(len(shift)), layout.kinds == CATEGORY
        places[is_category] = len(shift) + np.arange(np.count_nonzero(is_category))
        is_on = _gather(graph, graph.add("Concat", is_on, *likeliest, axis=1), places)
    ends = (
        graph.constant(end, np.float32) for end in ((1 - shift) / scale, -shift / scale)
    )
    classes = graph.add("Where", graph.cast(is_on, bool), *ends)
    return graph.add("Where", graph.constant(layout.kinds == NUMBER), means, classes)


def _gather(graph: Graph, rows: str, features: Array) -> str:
    return graph.add(
        "Gather", rows, graph.constant(features, np.int64, "features"), axis=1
    )


def _add_solution(graph: Graph, precision: Array, residual: str, missing: str) -> str:
    """Solve P x = residual in the missing columns of each row; x is 0 in the others."""
    inverse = graph.constant(1 / np.diag(precision), np.float64, "preconditioner")
    scaled_residual = graph.add("Mul", residual, inverse)
    size = graph.sum(graph.add("Mul", residual, scaled_residual), 1)
    enough = graph.add("Mul", size, graph.constant(TOLERANCE**2, np.float64))
    start = graph.add("Sub", residual, residual)
    steps = graph.constant(MOST_STEPS * len(precision), np.int64, "steps")
    body = _make_step(graph.inner(), precision, inverse, missing, enough)
    outputs = [
        graph.unique(name) for name in ("solution", "residual", "direction", "size")
    ]
    graph.nodes.append(
        helper.make_node(
            "Loop",
            [
                steps,
                _add_any_greater(graph, size, enough),
                start,
                residual,
                scaled_residual,
                size,
            ],
            outputs,
            name=graph.unique("Loop_node"),
            body=body,
        )
    )
    return outputs[0]


def _make_step(
    graph: Graph, precision: Array, inverse: str, missing: str, enough: str
) -> onnx.GraphProto:
    """One step along the directions of all rows."""
    names = ("iteration", "going_on", "solution", "residual", "direction", "size")
    inputs = [graph.unique(f"{name}_before") for name in names]
    _, _, solution, residual, direction, size = inputs
    product = graph.add(
        "MatMul", direction, graph.constant(precision, np.float64, "precision")
    )
    product = graph.add("Where", missing, product, graph.constant(0.0, np.float64))
    length = _divide(graph, size, graph.sum(graph.add("Mul", direction, product), 1))
    solution = graph.add("Add", solution, graph.add("Mul", length, direction))
    residual = graph.add("Sub", residual, graph.add("Mul", length, product))
    scaled_residual = graph.add("Mul", residual, inverse)
    new_size = graph.sum(graph.add("Mul", residual, scaled_residual), 1)
    share = _divide(graph, new_size, size)
    direction = graph.add("Add", scaled_residual, graph.add("Mul", share, direction))
    going_on = _add_any_greater(graph, new_size, enough)
    outputs = [going_on, solution, residual, direction, new_size]
    describe = helper.make_tensor_value_info
    iteration = describe(inputs[0], onnx.TensorProto.INT64, [])
    types = [onnx.TensorProto.BOOL, *[onnx.TensorProto.DOUBLE] * 4]
    shapes = [[], *[[None, len(precision)]] * 3, [None, 1]]
    before, after = (
        list(map(describe, each, types, shapes)) for each in (inputs[1:], outputs)
    )
    return helper.make_graph(graph.nodes, "step", [iteration, *before], after)


def _divide(graph: Graph, above: str, below: str) -> str:
    """The quotient, and 0 where the divisor is 0: in rows that have converged."""
    zero, one = graph.constant(0.0, np.float64), graph.constant(1.0, np.float64)
    some = graph.add("Greater", below, zero)
    quotient = graph.add("Div", above, graph.add("Where", some, below, one))
    return graph.add("Where", some, quotient, zero)


def _add_any_greater(graph: Graph, one: str, other: str) -> str:
    greater = graph.cast(graph.add("Greater", one, other), np.float32)
    count = graph.add("ReduceSum", greater, keepdims=0)
    return graph.add("Greater", count, graph.constant(0.0, np.float32))
