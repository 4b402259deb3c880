"""The model of the arrays of a file, which are checked as they are taken."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from tied_tables._layout import BOOLEAN, CATEGORY, NUMBER, Layout
from tied_tables._types import Array
from tied_tables.model import gaussian, outlier_score
from tied_tables.model.activations import ACTIVATIONS
from tied_tables.model.dense_network import WEIGHTS, DenseNetwork
from tied_tables.model.fences import Fences
from tied_tables.model.file.contents import Settings, require
from tied_tables.model.gaussian import Gaussian, Pieces
from tied_tables.model.imputation import Preprocessing
from tied_tables.model.link import Link
from tied_tables.model.outlier_score import Axes, OutlierScore
from tied_tables.model.scaling import Scaling
from tied_tables.model.tail import N_NUMBERS, Tail
from tied_tables.model.training import NadamState, Training
from tied_tables.model.value import TableModel

if TYPE_CHECKING:
    from tied_tables.columns import Columns
    from tied_tables.rules import Rules

RULES = "rules"  # the array of their JSON
MOST_RULE_BYTES = 2**25
ASYMMETRY = 1e-6  # of a matrix that was inverted, relative to its largest number
LARGEST_NUMBER = 1e18
"""Of scaled values and of weights: single precision holds their squares."""
ANY_UNIT = float(np.finfo(np.float64).max)  # of what is in the units of the columns


@dataclass
class Reader:
    """Takes each array once, so that those which nothing is made of are left over."""

    arrays: dict[str, Array]

    def has(self, place: str) -> bool:
        """Whether there are arrays whose names begin so."""
        return any(name.startswith(place) for name in self.arrays)

    def take(
        self,
        name: str,
        *shape: int | None,
        dtype: Any = np.float64,
        finite: bool = True,
        positive: bool = False,
        most: float = LARGEST_NUMBER,
    ) -> Array:
        """An array of such numbers, of a shape that has None for any size.

        Finite ones are not larger than `most`.
        """
        require(name in self.arrays, f"it lacks the array {name!r}")
        array = self.arrays.pop(name)
        fits = len(array.shape) == len(shape)
        for size, expected in zip(array.shape, shape, strict=False):
            fits = fits and expected in (None, size)
        require(fits, f"{name!r} has the shape {array.shape}, which does not fit")
        require(array.dtype == dtype, f"{name!r} has the dtype {array.dtype}")
        is_finite = not finite or np.abs(array) <= most  # and not NaN
        require(is_finite, f"{name!r} has numbers that are not finite or too large")
        is_positive = not positive or array > 0
        require(is_positive, f"{name!r} has numbers that are not positive")
        return array

    def make(
        self,
        kind: Any,
        place: str,
        n: int,
        positive: Collection[str] = (),
        dtype: Any = np.float64,
        finite: bool = True,
        most: float = LARGEST_NUMBER,
        **fields: Any,
    ) -> Any:
        """A value of other fields and of arrays of n numbers each, some positive."""
        for field in signature(kind).parameters:
            if field not in fields:
                fields[field] = self.take(
                    f"{place}{field}",
                    n,
                    dtype=dtype,
                    finite=finite,
                    positive=field in positive,
                    most=most,
                )
        return kind(**fields)

    def make_model(self, settings: Settings, needs_columns: bool) -> TableModel:
        """The model; without its columns if they cannot be read and are not needed."""
        network = self.make_network(settings.activation)
        d, *_, k = network.layer_sizes
        layout = self.make_layout(d)
        scaling = self.make(
            Scaling, "preprocessing.scaling.", d, ["scale"], most=ANY_UNIT
        )
        imputer = None
        if self.has("preprocessing.gaussian."):
            most = gaussian.MOST_IMPUTED_FEATURES
            imputer = self.make_gaussian("preprocessing.gaussian.", layout, most)
        mean = self.take("preprocessing.mean", d)
        weights = None
        if self.has("imputation_weights"):
            weights = self.take("imputation_weights", d)
            require_shares(weights, "imputation_weights")
        smallest = self.take("smallest", d, finite=False)
        largest = self.take("largest", d, finite=False)
        is_below = smallest <= largest  # neither is NaN
        require(is_below, "'smallest' is above 'largest'")
        names = settings.feature_names
        n_names = d if names is None else len(names)
        require(n_names == d, f"its feature names are not {d}")
        model = TableModel(
            preprocessing=Preprocessing(scaling, mean, layout, imputer),
            network=network,
            outlier_score=self.make_outlier_score(layout, scaling, k),
            smallest=smallest,
            largest=largest,
            offset=settings.offset,
            feature_names=names,
            imputation_weights=weights,
            link=self.make_link(layout, scaling) if self.has("link.") else None,
            columns=read_columns(settings, layout, needs_columns),
            rules=self.make_rules(needs_columns),
            training=self.make_training(settings, network),
        )
        require_finite_results(model)
        return model

    def make_rules(self, needs_columns: bool) -> Rules | None:
        """The rules of a table, if there are some; None without PyArrow."""
        if not self.has(RULES):
            return None
        json = self.take(RULES, None, dtype=np.uint8)
        message = f"its rules have {len(json):,} bytes, more than {MOST_RULE_BYTES:,}"
        require(len(json) <= MOST_RULE_BYTES, message)
        try:
            from tied_tables.rules import Rules
        except ImportError:
            if needs_columns:
                raise
            return None
        return Rules.from_json(json.tobytes())

    def make_network(self, activation: str) -> DenseNetwork:
        """The estimator's own network."""
        n_layers = sum(name.startswith("network.kernels.") for name in self.arrays)
        require(n_layers > 0, "its network has 0 layers")
        layers: list[list[Array]] = []
        after: Any = None
        for i in range(n_layers):
            kernel = self.take(f"network.kernels.{i}", after, None, dtype=np.float32)
            before, after = kernel.shape
            layer = [kernel]
            for name, size in zip(WEIGHTS[1:], (after, before, after), strict=True):
                array = self.take(f"network.{name}.{i}", size, dtype=np.float32)
                layer.append(array)
            layers.append(layer)
        kernels, biases, decoder_biases, gains = zip(*layers, strict=True)
        network = DenseNetwork(
            kernels,
            biases,
            decoder_biases,
            gains,
            activation=activation,
        )
        units = network.layer_sizes
        require(min(units) == after > 0, f"its layers are of {units} units")
        is_known = n_layers == 1 or activation in ACTIVATIONS
        require(is_known, f"its activation is {activation!r}")
        return network

    def make_layout(self, d: int) -> Layout:
        """The columns of d features."""
        place = "preprocessing.layout."
        layout: Layout = self.make(Layout, place, d, dtype=np.int64)
        columns, kinds = layout.columns, layout.kinds
        begins = np.diff(columns, prepend=-1) > 0
        is_count = columns == np.cumsum(begins) - 1
        require(is_count, "'preprocessing.layout.columns' does not number columns")
        is_known = np.isin(kinds, (NUMBER, BOOLEAN, CATEGORY))
        is_known &= kinds == kinds[layout.starts][columns]  # one in a column
        require(is_known, "'preprocessing.layout.kinds' are none")
        return layout

    def make_gaussian(self, place: str, layout: Layout, most: int) -> Gaussian:
        """A normal distribution of at most so many features, with their pieces."""
        pieces = None
        width = len(layout.kinds)
        if self.has(f"{place}pieces."):
            features = self.take(f"{place}pieces.features", None, dtype=np.int64)
            n = len(features)
            pieces = self.make(
                Pieces, f"{place}pieces.", n, ["scale"], features=features
            )
            is_number = np.isin(features, layout.numbers)
            is_piece = is_number & (pieces.low < pieces.high)
            require(is_piece, "its pieces are none")
            width += n
        mean = self.take(f"{place}mean", width)
        precision = None
        if pieces is not None or self.has(f"{place}precision"):
            precision = self.take(f"{place}precision", width, width)
            require(width <= most, "it has too many features for a precision")
            require_positive_definite(precision, f"{place}precision")
        return Gaussian(mean, precision, pieces)

    def make_outlier_score(
        self, layout: Layout, scaling: Scaling, k: int
    ) -> OutlierScore:
        """The outlier score of rows with codes of k numbers."""
        d, place = len(layout.kinds), "outlier_score."
        most = outlier_score.MOST_SURPRISE_FEATURES
        distribution = self.make_gaussian(f"{place}gaussian.", layout, most)
        n = d  # of the numbers that are standardised
        axes = {}
        for name, width in (("code_axes", k), ("residual_axes", d), ("core_axes", d)):
            mean = self.take(f"{place}{name}.mean", width)
            vectors = self.take(f"{place}{name}.vectors", width, None)
            n_axes = vectors.shape[1]
            require(n_axes <= width, f"the shape of {name!r} has {n_axes} axes")
            axes[name] = Axes(mean, vectors)
            if name != "core_axes":
                n += n_axes
        if distribution.precision is not None:
            n += len(layout.numbers)
        fences = self.make(Fences, f"{place}fences.", d, finite=False)
        is_between = (fences.low < fences.middle) & (fences.middle < fences.high)
        require(is_between, "'outlier_score.fences' are not in order")
        numbers = self.take(f"{place}tail.numbers", N_NUMBERS, most=ANY_UNIT)
        tail = Tail.from_numbers(numbers)
        score = OutlierScore(
            **axes,
            gaussian=distribution,
            layout=layout,
            scaling=scaling,
            median=self.take(f"{place}median", n),
            scale=self.take(f"{place}scale", n, finite=False, positive=True),
            fences=fences,
            tail=tail,
        )
        is_finite = score.surprise is None or np.isfinite(score.surprise)
        require(is_finite, "'outlier_score.gaussian.precision' cannot be inverted")
        return score

    def make_link(self, layout: Layout, scaling: Scaling) -> Link:
        """The link of a table with classes."""
        require(layout.has_classes, "it has a link and no classes")
        d = len(layout.kinds)
        positive = ["frequencies", "temperatures", "costs"]
        link: Link = self.make(
            Link, "link.", d, positive, layout=layout, scaling=scaling
        )
        require_shares(link.frequencies, "link.frequencies")
        require_shares(link.mixtures, "link.mixtures")
        is_mixed = (link.mixtures > 0) | (layout.kinds == NUMBER)
        require(is_mixed, "'link.mixtures' has a class that may be impossible")
        is_open = (link.frequencies < 1) | (layout.kinds != BOOLEAN)
        require(is_open, "'link.frequencies' has a boolean that is never false")
        return link

    def make_training(self, settings: Settings, network: DenseNetwork) -> Training:
        """How the model was trained, with what `partial_fit` goes on from, if any."""
        nadam = None
        if self.has("nadam."):
            n = network.n_parameters
            nadam = self.make(
                NadamState, "nadam.", n, dtype=np.float32, step=settings.steps
            )
            require(nadam.squares >= 0, "'nadam.squares' has negative numbers")
        return Training(
            n_iter=settings.n_iter_,
            is_pca=settings.is_pca_,
            loss_curve=settings.loss_curve_,
            validation_curve=settings.validation_curve_,
            reconstruction_r2=settings.reconstruction_r2_,
            weight_decay=settings.weight_decay,
            nadam=nadam,
        )


def read_columns(
    settings: Settings,
    layout: Layout,
    needs_columns: bool,
) -> Columns | None:
    """The columns that the features were made from, with the layout of the arrays."""
    text = bytes(settings.columns)
    if text == b"null":
        return None
    try:
        from tied_tables.columns import Columns
    except ImportError:
        if needs_columns:
            raise
        return None
    columns = Columns.from_json(text)
    is_same = np.array_equal(columns.layout.columns, layout.columns)
    is_same = is_same and np.array_equal(columns.layout.kinds, layout.kinds)
    require(is_same, "the columns of the model are not those of its numbers")
    is_named = settings.feature_names in (None, tuple(columns.features))
    require(is_named, "its feature names are not those of its columns")
    return columns


def require_positive_definite(matrix: Array, name: str) -> None:
    """Require a matrix whose parts have inverses, whichever values are missing."""
    tolerance = ASYMMETRY * np.abs(matrix).max()
    require(np.abs(matrix - matrix.T) <= tolerance, f"{name!r} is not symmetric")
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError as error:
        raise ValueError(f"{name!r} is not positive definite") from error


def require_finite_results(model: TableModel) -> None:
    """Require finite numbers for rows at the ends of the range of training."""
    scaling = model.preprocessing.scaling
    scaled_limits = []
    for values in (model.smallest, model.largest):
        known = np.where(np.isfinite(values), values, scaling.shift)
        scaled_limits.append(scaling.forward(known[None])[0])
    low, high = scaled_limits
    require(
        np.abs(scaled_limits) <= LARGEST_NUMBER,
        "'preprocessing.scaling' is not that of 'smallest' and 'largest'",
    )
    is_even = np.arange(len(low)) % 2 == 0
    one, other = np.where(is_even, scaled_limits, scaled_limits[::-1])
    missing = np.full_like(low, np.nan)
    gaps = np.where(is_even, low, missing), np.where(is_even, missing, high)
    rows = np.stack([low, high, one, other, missing, *gaps])
    with np.errstate(all="ignore"):
        complete = model.preprocessing.impute(rows)
        block = model.forward(rows, complete)
        unscaled = scaling.backward(block.reconstruction, np.float32)
        scores = model.score_block(block)
    for numbers in (complete, block.codes, block.reconstruction, unscaled, scores):
        require(np.isfinite(numbers), "it computes numbers that are not finite")


def require_shares(array: Array, name: str) -> None:
    """Require numbers from 0 to 1."""
    is_share = (array >= 0) & (array <= 1)
    require(is_share, f"{name!r} are not from 0 to 1")
