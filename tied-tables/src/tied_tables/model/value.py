"""The fitted value: immutable arrays that encode, decode, impute and score rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from tied_tables._blas import blas_limit
from tied_tables._text import format_quantity
from tied_tables._types import Array
from tied_tables.model.blocks import map_blocks
from tied_tables.model.dense_network import DenseNetwork
from tied_tables.model.explanation import explain_rows
from tied_tables.model.fences import fit_absurd_limits
from tied_tables.model.imputation import Preprocessing, require_floats
from tied_tables.model.link import Link
from tied_tables.model.outlier_score import Block, OutlierScore
from tied_tables.model.pca import TINY, fit_pca
from tied_tables.model.training import Training

if TYPE_CHECKING:
    from tied_tables.columns import Columns
    from tied_tables.rules import Order, Rules

EXPECTED_OUTSTANDING = 0.05  # the expected number of rows below which one stands out

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False, repr=False)
class TableModel:
    """A fitted model of a table: it encodes, decodes, imputes and scores rows.

    An immutable value: safe to share between threads and forked processes, to pickle
    and to send. Its methods are those of `TiedAutoencoder` of the same names, without
    validation: rows are float32 or float64 arrays or CSR matrices of shape `(n, d)`,
    finite or NaN.

    Attributes:
        preprocessing: scales columns and imputes missing values.
        network: the encoder and the decoder, of scaled rows.
        outlier_score: of `score_samples`.
        smallest, largest: of the values that a feature had in training, `(d,)`, in its
            units: what is filled in or expected is within; infinite without any.
        offset: the threshold of `score_samples` below which a row is an outlier.
        feature_names: of the columns, or None.
        imputation_weights: of the network in what `reconstruct` fills in, beside
            `preprocessing`, `(d,)` between 0 and 1; None if the network alone fills in.
        link: what turns the output of the decoder into probabilities; None if it is
            what is reconstructed.
        training: how the model was trained.
        columns: those of a table, which are encoded as the features; None if they are
            the features.
        rules: what determines what among the columns of the table; None if nobody has
            looked.
    """

    preprocessing: Preprocessing
    network: DenseNetwork
    outlier_score: OutlierScore
    smallest: Array
    largest: Array
    offset: float
    feature_names: tuple[str, ...] | None
    imputation_weights: Array | None
    link: Link | None
    training: Training
    columns: Columns | None = None
    rules: Rules | None = None

    def __repr__(self) -> str:
        numbers = format_quantity(self.n_features, "number")
        components = format_quantity(self.n_components, "component")
        return f"TableModel of {numbers}, with {components}"

    @property
    def n_features(self) -> int:
        """The columns of a row, d."""
        return len(self.preprocessing.mean)

    @property
    def n_components(self) -> int:
        """The columns of a code, k."""
        return self.network.layer_sizes[-1]

    @property
    def orders(self) -> Sequence[Order]:
        """The columns that are never above others, as far as somebody has looked."""
        return self.rules.orders if self.rules is not None else ()

    def select(self, features: Array) -> TableModel:
        """The model of rows with all features in another order, at places."""
        weights = self.imputation_weights
        names = self.feature_names
        return replace(
            self,
            preprocessing=self.preprocessing.select(features),
            network=self.network.select(features),
            outlier_score=self.outlier_score.select(features),
            smallest=self.smallest[features],
            largest=self.largest[features],
            feature_names=names and tuple(names[place] for place in features),
            imputation_weights=None if weights is None else weights[features],
            link=self.link and self.link.select(features),
            training=self.training.select(features),
        )

    def transform(self, X: Any) -> Array:
        """The codes, `(n, k)`, in the dtype of `X`."""

        def encode(part: slice) -> Array:
            _, complete = self.preprocessing.forward(X, part)
            codes = self.network.encode(complete)
            return codes.astype(X.dtype, copy=False)

        parts = self._map(encode, X.shape[0])
        return np.concatenate(parts)

    def inverse_transform(self, codes: Array) -> Array:
        """The rows, `(n, d)`, reconstructed from codes, in their dtype."""
        require_floats(codes, self.n_components)

        def decode_part(part: slice) -> Array:
            part_codes = codes[part]
            single = part_codes.astype(np.float32, copy=False)
            scaled = decode(self.network, single, self.link)
            return self.preprocessing.scaling.backward(scaled, codes.dtype)

        parts = self._map(decode_part, len(codes))
        return np.concatenate(parts)

    def reconstruct(self, X: Any) -> Array:
        """The rows after encoding and decoding, `(n, d)`, in the dtype of `X`."""

        def reconstruct(part: slice, block: Block) -> Array:
            scaled = self._fill_in(block)
            return self.preprocessing.scaling.backward(scaled, X.dtype)

        parts = self.fold(X, reconstruct)
        return np.concatenate(parts)

    @blas_limit.limit_to_one()
    def impute(self, X: Any) -> Array:
        """The rows with what is missing filled in, `(n, d)`, in the dtype of `X`.

        It is what `reconstruct` gives; where nothing was missing in training, and no
        weights are known, conditional means in the distribution of the outlier score.
        It stays within the values of the training rows.
        """
        # What is absurd tells nothing of what is missing.
        is_absurd = self.find_far_values(X)
        nan = X.dtype.type(np.nan)
        known = np.where(is_absurd, nan, X)
        imputer = self.imputer
        if imputer is self.preprocessing:
            filled = self.reconstruct(known)
        else:
            _, complete = imputer.forward(known, slice(None))
            filled = imputer.scaling.backward(complete, X.dtype)
        smallest, largest = self._find_value_range(X.dtype)
        filled = np.clip(filled, smallest, largest)
        return np.where(np.isnan(X), filled, X)

    def _find_value_range(self, dtype: DTypeLike) -> tuple[Array, Array]:
        """The smallest and the largest number of a dtype in the range of training.

        Where there is none between the two, both are the nearest to the range.
        """
        smallest = self.smallest.astype(dtype)
        largest = self.largest.astype(dtype)
        infinity = largest.dtype.type(np.inf)
        above = np.nextafter(smallest, infinity)
        below = np.nextafter(largest, -infinity)
        low = np.where(smallest < self.smallest, above, smallest)
        high = np.where(largest > self.largest, below, largest)
        is_empty = low > high
        low = np.where(is_empty, smallest, low)
        high = np.where(is_empty, smallest, high)
        return low, high

    @property
    def imputer(self) -> Preprocessing:
        """The preprocessing that fills gaps with what the other columns suggest.

        Where nothing was missing in training, `preprocessing` fills them with means.
        """
        gaussian = self.outlier_score.gaussian
        had_gaps = self.preprocessing.gaussian is not None
        if had_gaps or gaussian.precision is None:
            return self.preprocessing
        return replace(self.preprocessing, gaussian=gaussian)

    def _fill_in(self, block: Block) -> Array:
        """The reconstruction, with what is missing moved to its conditional mean."""
        weights = self.imputation_weights
        complete = block.complete
        if weights is None or complete is block.scaled:
            return block.reconstruction
        steps = block.reconstruction - complete
        weights = weights.astype(np.float32)
        filled = complete + weights * steps
        missing = np.isnan(block.scaled)
        return np.where(missing, filled, block.reconstruction)

    def reconstruction_error(
        self,
        X: Any,
        per_feature: bool = False,
    ) -> Array:
        """The squared errors of scaled rows, `(n, d)` with NaN, or means, `(n,)`."""

        def measure(part: slice, block: Block) -> Array:
            return block.squares if per_feature else block.mean_squares

        parts = self.fold(X, measure)
        return np.concatenate(parts)

    def score(self, X: Any, weights: Array | None = None) -> float:
        """R² over all scaled features; with a link the share of deviance explained."""
        if weights is None:
            weights = np.ones(X.shape[0])
        return explained_share(self.sums_of_squares(X, weights))

    def sums_of_squares(self, X: Any, weights: Array) -> Array:
        """Of each feature errors, those of the mean, weights and squares, `(4, d)`."""
        mean = self.preprocessing.mean

        def add_up(part: slice, block: Block) -> Array:
            return block.sums_of_squares(mean, weights[part], self.link)

        parts = self.fold(X, add_up)
        return np.sum(parts, axis=0)

    def score_samples(self, X: Any) -> Array:
        """How normal rows are, `(n,)` float64: the higher, the less of an outlier."""

        def score(part: slice, block: Block) -> Array:
            return -self.score_block(block)

        parts = self.fold(X, score)
        return np.concatenate(parts)

    def measure_rows(self, X: Any) -> tuple[Array, Array]:
        """The outlier scores and the reconstruction errors, `(n,)` float32 each."""

        def measure(part: slice, block: Block) -> Array:
            scores = self.score_block(block)
            pair = np.stack([scores, block.mean_squares])
            with np.errstate(over="ignore"):
                return pair.astype(np.float32)

        parts = self.fold(X, measure)
        scores, errors = np.concatenate(parts, axis=1)
        return scores, errors

    def score_block(self, block: Block) -> Array:
        """The outlier scores of a block, `(n,)` float64; infinite after an overflow.

        What is missing is no surprise, whatever was filled in.
        """
        imputer = self.imputer
        has_gaps = block.complete is not block.scaled
        if has_gaps and imputer is not self.preprocessing:
            complete = imputer.impute(block.scaled)
            block = self.forward(block.scaled, complete)
        with np.errstate(invalid="ignore", over="ignore"):
            scores = self.outlier_score.score(block)
        scores[np.isnan(scores)] = np.inf
        return scores

    def rarity(self, X: Any) -> Array:
        """One row in how many is at least as odd as each of these, `(n,)` float64."""
        scores = -self.score_samples(X)
        return self.find_rarity(scores)

    def find_rarity(self, scores: Array) -> Array:
        """One row in how many has at least these scores, `(n,)` float64."""
        return self.outlier_score.tail.find_rarity(scores)

    def has_drifted(self, scores: Array) -> bool:
        """Whether far more rows are odd than were in training, by scores `(n,)`."""
        return self.outlier_score.tail.has_drifted(scores)

    @property
    def largest_rarity(self) -> float:
        """The number of training rows: no row is rarer than one in so many."""
        return self.outlier_score.tail.n_rows

    def stand_out(self, scores: Array, n_rows: int) -> Array:
        """Which scores hardly any table of so many rows has by chance, `(n,)`."""
        tail = self.outlier_score.tail
        n_expected = tail.find_shares(scores) * n_rows
        is_rare = n_expected < EXPECTED_OUTSTANDING
        is_far = scores >= tail.far
        return is_rare | is_far

    def find_far_values(self, X: Any) -> Array:
        """Which values lie far outside of their columns, `(n, d)`."""
        require_floats(X, self.n_features)
        scaled = self.preprocessing.scaling.forward(X)
        return self.outlier_score.fences.find(scaled)

    explain = explain_rows

    def forward(self, scaled: Array, complete: Array) -> Block:
        """The forward pass of scaled rows."""
        return compute_block(self.network, scaled, complete, self.link)

    def fold(
        self,
        X: Any,
        use: Callable[[slice, Block], Result],
    ) -> list[Result]:
        """The results of `use(part, block)` for all blocks, in order.

        Several threads call it at a time; `part` is the slice of the rows.
        """

        def compute(part: slice) -> Result:
            scaled, complete = self.preprocessing.forward(X, part)
            return use(part, self.forward(scaled, complete))

        return self._map(compute, X.shape[0])

    def _map(
        self,
        function: Callable[[slice], Result],
        n_rows: int,
    ) -> list[Result]:
        block_rows = self.network.block_rows
        return map_blocks(function, n_rows, block_rows, threads=True)


def compute_block(
    network: DenseNetwork,
    scaled: Array,
    complete: Array,
    link: Link | None = None,
) -> Block:
    """The forward pass of any number of scaled rows, `(n, d)` float32, as one block."""

    def compute(part: slice) -> tuple[Array, Array]:
        codes = network.encode(complete[part])
        return codes, decode(network, codes, link)

    n = len(complete)
    parts = map_blocks(compute, n, network.block_rows, threads=True)
    codes, reconstructions = zip(*parts, strict=True)
    return Block(
        scaled,
        complete,
        codes=np.concatenate(codes),
        reconstruction=np.concatenate(reconstructions),
    )


def decode(
    network: DenseNetwork,
    codes: Array,
    link: Link | None,
) -> Array:
    """The scaled rows, `(n, d)`, reconstructed from codes, `(n, k)` float32."""
    outputs = network.decode(codes)
    return outputs if link is None else link.apply(outputs)


def explained_share(sums: Array) -> float:
    """R² over all features, from `TableModel.sums_of_squares`."""
    error, total = sums[:2].sum(axis=1)
    if total > 0:
        return float(1 - error / total)
    return float(error == 0)


def explained_shares(sums: Array) -> Array:
    """R² of each feature, `(d,)`; NaN where all is missing, 1 or 0 if constant."""
    error, total, weight = sums[:3]
    rounding = TINY * weight
    constant = total <= rounding
    divisor = np.where(constant, 1.0, total)
    shares = 1 - error / divisor
    shares = np.where(constant, error <= rounding, shares)
    shares[weight == 0] = np.nan
    return shares


@blas_limit.limit_to_one()
def baseline_errors(
    model: TableModel,
    X: Array,
    test_rows: Array | None = None,
) -> tuple[float, float]:
    """The mean errors of a model and of PCA, both of scaled rows.

    They are squares; with probabilities of classes deviances, divided by those of the
    best constants, and those of PCA are calibrated on the rows that it is fitted to.
    Missing values do not count; for PCA they are imputed as the fitted value does.
    Absurd values count as the medians of their columns, as in a fit. PCA is fitted to
    `X`, `(n, d)`, better the rows that the value was fitted to, and measured on
    `test_rows`, by default on `X`.
    """
    absurd_limits = fit_absurd_limits(X)
    X = absurd_limits.trim(X)
    test_rows = X if test_rows is None else absurd_limits.trim(test_rows)
    for rows in (X, test_rows):
        if np.isnan(rows).all():  # also where no row is left
            return 0.0, 0.0
    preprocessing = model.preprocessing
    scaled, complete = preprocessing.forward(X, slice(None))
    principal = fit_pca(complete).truncate(model.n_components)
    link = model.link
    if link is not None:
        ones = np.ones(model.n_features)
        link = replace(link, temperatures=ones)
        outputs = principal.reconstruct(complete)
        weights = np.ones(len(X))
        link = link.calibrate(outputs, scaled, weights)
    scaled, complete = preprocessing.forward(test_rows, slice(None))
    block = model.forward(scaled, complete)
    errors = block.find_errors(model.link)
    outputs = principal.reconstruct(complete)
    if link is not None:
        outputs = link.apply(outputs)
    pca_block = block._replace(reconstruction=outputs)
    pca_errors = pca_block.find_errors(link)
    mean = np.nanmean(errors)
    pca_mean = np.nanmean(pca_errors)
    return float(mean), float(pca_mean)
