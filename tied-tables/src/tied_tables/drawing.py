"""What figures and the page have in common: colours, planes, and losses."""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tied_tables._text import LONGEST_VALUE, format_value
from tied_tables._types import Array

Points = NDArray[np.floating]

MOST_COLOURS = 10  # more colours are hard to distinguish
MOST_GROUPS = 2 * MOST_COLOURS  # each colour is there as a circle and as a square
LARGEST_SHADE = 1e300  # differences of larger numbers may overflow

# Okabe and Ito (2008), "Color Universal Design": distinct with any kind of colour
# vision.
_OKABE_ITO = "#0072B2 #E69F00 #009E73 #CC79A7 #D55E00 #56B4E9".split()
# Petroff (2021), "Accessible Color Sequences for Data Visualization", the sequence of
# ten.
_PETROFF = (
    "#3F90DA #FFA90E #BD1F01 #94A4A2 #832DB6 #A96B59 #E76300 #B9AC70 #717581 #92DADD"
).split()
MOST_OUTSIDE = 0.002  # the share of points on each side that the view need not hold
# Around the others, relative to their spread; points further out are left outside.
ROOM = 0.6
DENSE_POINTS = 1500  # points on top of a density
MOST_DRAWN_UNITS = 6  # units of a code of which each pair is drawn or counted: 15 pairs
CURVES = {"loss": "loss_curve_", "val_loss": "validation_curve_"}


def collect_history(estimator: Any) -> dict[str, list[float]]:
    """Return the losses of an estimator, by Keras's names; none if it is PCA."""
    history: dict[str, list[float]] = {}
    if getattr(estimator, "is_pca_", False):
        return history
    for key, name in CURVES.items():
        curve = getattr(estimator, name, None)
        if curve is not None:
            history[key] = list(curve)
    return history


@dataclass(frozen=True)
class Labels:
    """The groups that rows belong to, or a number for each row."""

    # (n,) the place of each row's group, or its number, NaN if missing
    values: Array
    # their names, at last of those that are not told apart
    groups: tuple[str, ...] | None = None
    # how many of the groups are told apart, by a colour and a marker
    n_coloured: int = 0


def palette(n: int) -> list[str]:
    """Return n colours, at most ten, that any kind of colour vision tells apart."""
    colours = _OKABE_ITO if n <= len(_OKABE_ITO) else _PETROFF
    return colours[:n]


def classify_labels(labels: ArrayLike, longest: int = LONGEST_VALUE) -> Labels:
    """Turn labels into groups, with names of at most `longest` characters, or shades.

    More than `MOST_COLOURS` different numbers are shades. Everything else is groups, of
    which the `MOST_GROUPS` most frequent are told apart; None, NaN and the empty text
    are missing.
    """
    rows = np.asarray(labels)
    if rows.dtype.kind in "iuf":
        distinct = np.unique(rows[~np.isnan(rows)])
        if len(distinct) > MOST_COLOURS:
            numbers = np.where(np.isinf(rows), np.nan, rows)
            numbers = numbers.astype(np.float64)
            return Labels(np.clip(numbers, -LARGEST_SHADE, LARGEST_SHADE))
    return _group_labels(rows, longest)


def _group_labels(rows: Array, longest: int) -> Labels:
    missing = np.array([x is None or x == "" or x != x for x in rows.tolist()], bool)
    present = rows[~missing]
    if rows.dtype.kind not in "biuf":
        present = present.astype(str)
    labels = present.tolist()
    counts = Counter(sorted(labels))  # the first of equally frequent ones
    frequent = sorted(label for label, _ in counts.most_common(MOST_GROUPS))
    names = [format_value(label, longest) for label in frequent]
    n_coloured = len(names)
    n_others = len(counts) - n_coloured
    if n_others:
        names.append(f"{n_others} others")
    if missing.any():
        names.append("missing")
    groups = {label: group for group, label in enumerate(frequent)}
    values = np.full(len(rows), len(names) - 1)  # what is missing is the last group
    values[~missing] = [groups.get(label, n_coloured) for label in labels]
    return Labels(values, tuple(names), n_coloured)


class Plane(NamedTuple):
    """Two axes for the rows of a table, and for other rows with the same columns.

    `project` gives the points of rows, (n, 2); on components a missing value is the
    mean of its column.
    """

    names: tuple[str, str]
    project: Callable[[Points], Points]


def _take_two(rows: Points) -> Points:
    """Return the first two columns, or the only one after the numbers of the rows."""
    if rows.shape[1] > 1:
        return rows[:, :2]
    numbers = np.arange(1.0, len(rows) + 1)
    return np.column_stack([numbers, rows[:, 0]])


def fit_plane(
    X: ArrayLike, feature_names: Sequence[str], is_principal: bool = True
) -> Plane:
    """Fit the plane of the first two principal components of the standardised columns.

    Up to two columns are drawn as they are, and so are the first two if it is not
    principal; a single column is drawn against the number of the row. NaN is a missing
    value.
    """
    rows = np.asarray(X, dtype=np.float64)
    if not is_principal or rows.shape[1] <= 2 or len(rows) < 2:
        names = list(feature_names)
        if len(names) == 1:
            names.insert(0, "row")
        return Plane((names[0], names[1]), _take_two)
    # Their import takes a second, which two columns do not need.
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    scaler, pca = StandardScaler(), PCA(n_components=2, random_state=0)

    def standardize(rows: Points) -> Points:
        # scikit-learn's `transform` refuses infinite numbers.
        standard_rows = (rows.astype(np.float64) - scaler.mean_) / scaler.scale_
        return np.where(np.isnan(standard_rows), 0.0, standard_rows)

    # Of columns without a value, or that are all constant.
    with np.errstate(invalid="ignore"):
        scaler.fit(rows)
        pca.fit(standardize(rows))
    shares = np.nan_to_num(100 * pca.explained_variance_ratio_)
    first, second = (
        f"component {i + 1} ({share:.0f} %)" for i, share in enumerate(shares)
    )

    def project(rows: Points) -> Points:
        return np.asarray(standardize(rows) @ pca.components_.T)

    return Plane((first, second), project)


def average_errors(feature_errors: Points) -> Points:
    """Return the mean of each row over what is not missing, (n,), or else NaN."""
    with warnings.catch_warnings(action="ignore"):  # of rows without a value
        return np.asarray(np.nanmean(feature_errors, axis=1, dtype=np.float64))


def pair_with_errors(code: Points, errors: Points) -> Points:
    """Return a code with the errors beside a single unit: (n, 2) or more."""
    if code.shape[1] > 1:
        return code
    return np.column_stack([code[:, 0], errors])


class View(NamedTuple):
    """The part of a plane that is drawn: the range of each axis."""

    x: tuple[float, float]
    y: tuple[float, float]


def choose_view(points: Points) -> View:
    """Choose a view of nearly all points, (n, 2), and of all if none lies far out."""
    return View(*map(_choose_range, points.T))


def _choose_range(values: Points) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    ends = MOST_OUTSIDE, 1 - MOST_OUTSIDE
    low, high = np.quantile(finite, ends)
    room = ROOM * (high - low)
    low, high = low - room, high + room
    inside = finite[(finite >= low) & (finite <= high)]
    low, high = float(inside.min()), float(inside.max())
    padding = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    return low - padding, high + padding
