"""The conditional means of missing values, in the operators of ONNX."""

import numpy as np
from onnx import helper

from tied_tables._layout import NUMBER
from tied_tables._types import Array
from tied_tables.model.gaussian import Gaussian, Pieces
from tied_tables.model.imputation import Preprocessing
from tied_tables.model.onnx._graph import Tensor

# the length of the residual at the end, relative to the one at the start
RESIDUAL_RATIO = 1e-12
SMALLEST_DIVISOR = 1e-300  # added to divisors, which are 0 in rows that have converged
MOST_STEPS = 10  # for each feature; in exact arithmetic one would do


def add_imputation(preprocessing: Preprocessing, scaled: Tensor) -> Tensor:
    r"""Add the imputation of scaled rows, `(n, d)` float32, of `Preprocessing.impute`.

    The missing part m of a row less its mean solves $P_{mm} x_m = -P_{mo} x_o$, with
    another matrix for each row, which ONNX has no operator for. Conjugate gradients
    (Hestenes & Stiefel, 1952; preconditioned with the diagonal) need none: they
    multiply whole rows by P, all rows at once, and end at the solution. All in double
    precision, as in NumPy. Pieces of numbers are added before, and classes chosen
    after.
    """
    missing = scaled.is_nan()
    gaussian = preprocessing.gaussian or Gaussian(preprocessing.mean)
    if gaussian.precision is None:
        return missing.where(gaussian.mean, scaled)
    rows, gaps = scaled.cast(np.float64), missing
    if gaussian.pieces is not None:
        rows, gaps = _add_pieces(gaussian.pieces, rows, missing)  # (n, D)
    present = gaps.where(0, rows - gaussian.mean)
    product = present @ gaussian.precision
    right_side = gaps.where(product.apply("Neg"), 0)
    solution = _solve(gaussian.precision, right_side, gaps)
    means = (solution + gaussian.mean).cast(np.float32)
    if gaussian.pieces is not None:
        features = np.arange(len(preprocessing.mean))
        means = means.take(features)  # (n, d)
    if preprocessing.layout.has_classes:
        means = _choose_classes(preprocessing, means)
    return missing.where(means, scaled)


def _add_pieces(pieces: Pieces, rows: Tensor, missing: Tensor) -> tuple[Tensor, Tensor]:
    """Rows with their pieces beside them, and where these are missing."""
    numbers = rows.take(pieces.features)
    numbers = numbers.apply("Max", pieces.low)
    numbers = numbers.apply("Min", pieces.high)
    values = (numbers - pieces.shift) / pieces.scale
    gaps = missing.take(pieces.features)
    wide_rows = rows.apply("Concat", values, axis=1)
    wide_missing = missing.apply("Concat", gaps, axis=1)
    return wide_rows, wide_missing


def _choose_classes(preprocessing: Preprocessing, means: Tensor) -> Tensor:
    """The likeliest class of each column, as `Preprocessing.impute` chooses it."""
    layout = preprocessing.layout
    shift, scale = preprocessing.scaling
    likely = means * scale + shift
    is_likely = (likely > 0.5).cast(np.float32)
    is_on = is_likely.replace_categories(layout, likely, "Hardmax")
    is_number = means.graph.tensor(layout.kinds == NUMBER, bool)
    return is_number.where(means, (is_on - shift) / scale)


def _solve(precision: Array, right_side: Tensor, missing: Tensor) -> Tensor:
    """Solve P x = b in the missing columns of each row, `(n, D)`; x is 0 in others."""
    graph = right_side.graph
    direction = right_side / precision.diagonal()
    size = (right_side * direction).sum_rows()  # (n, 1)
    enough = size * RESIDUAL_RATIO**2
    most_steps = graph.tensor(MOST_STEPS * len(precision), np.int64)
    goes_on = _is_any_greater(size, enough)
    start = right_side - right_side
    state = [start, right_side, direction, size]

    outer_nodes = graph.nodes
    graph.nodes = []  # of one step along the directions of all rows
    number = graph.declare("number", np.int64)
    condition = graph.declare("condition", bool)
    before = [graph.declare("before", np.float64) for _ in state]
    after = _step(precision, missing, *before)
    goes_on_after = _is_any_greater(after[-1], enough)
    body_inputs = [number.describe([]), condition.describe([])]
    body_inputs += [tensor.describe() for tensor in before]
    body_outputs = [goes_on_after.describe([])]
    body_outputs += [tensor.describe() for tensor in after]
    body = helper.make_graph(
        graph.nodes,
        "step",
        body_inputs,
        body_outputs,
    )
    graph.nodes = outer_nodes

    inputs = [most_steps, goes_on, *state]
    outputs = [graph.declare("after", np.float64) for _ in state]
    input_names = [tensor.name for tensor in inputs]
    output_names = [tensor.name for tensor in outputs]
    loop = helper.make_node("Loop", input_names, output_names, body=body)
    graph.nodes.append(loop)
    return outputs[0]


def _step(
    precision: Array,
    missing: Tensor,
    solution: Tensor,
    residual: Tensor,
    direction: Tensor,
    size: Tensor,
) -> list[Tensor]:
    """Solution, residual and direction after a step, `(n, D)`, and size, `(n, 1)`."""
    product = missing.where(direction @ precision, 0)
    curvature = (direction * product).sum_rows()
    length = size / (curvature + SMALLEST_DIVISOR)
    solution += direction * length
    residual -= product * length
    scaled_residual = residual / precision.diagonal()
    new_size = (residual * scaled_residual).sum_rows()
    share = new_size / (size + SMALLEST_DIVISOR)
    direction = scaled_residual + direction * share
    return [solution, residual, direction, new_size]


def _is_any_greater(one: Tensor, other: Tensor) -> Tensor:
    is_greater = (one > other).cast(np.float32)
    return is_greater.apply("ReduceSum", keepdims=0) > 0
