"""Several widths of the code: how well each reconstructs rows, and values that are hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keras_tied.cli._lazy import Array, comparison
from keras_tied.cli._messages import UsageError
from keras_tied.cli._progress import show_stages

WIDTH = (
    "n_components",
    "error",
    "pca_error",
    "hidden_error",
)  # as a model file holds them
MOST_WIDTHS = 64


def parse_widths(text: str) -> list[int] | None:
    """Read numbers of components: `4`, `1,2,4`, `1..16`, or a mixture; None for another text.

    Examples:
        >>> parse_widths("1..3,8"), parse_widths("0.9")
        ([1, 2, 3, 8], None)
    """
    widths: set[int] = set()
    for part in text.split(","):
        first, dots, last = part.strip().partition("..")
        ends = first, last if dots else first
        if not all(end.isascii() and end.isdigit() and len(end) < 6 for end in ends):
            return None
        some = range(int(ends[0]), int(ends[1]) + 1)
        if not some:
            return None
        widths.update(some)
    return sorted(widths) if min(widths) >= 1 and len(widths) <= MOST_WIDTHS else None


def require_enough(numbers: Array, components: int) -> None:
    """Raise for a table that is too small to compare so many components."""
    n, n_features = numbers.shape
    if n < comparison.FEWEST_ROWS:
        raise UsageError(
            f"a comparison needs {comparison.FEWEST_ROWS} rows, and the table has {n};"
            " add rows."
        )
    if n_features < 2:
        raise UsageError(
            "a comparison needs two columns of numbers at least; give another."
        )
    most = comparison.count_most_components(n, n_features)
    if components > most:
        raise UsageError(
            f"--components {components} is too many for {n:,} rows of {n_features:,}"
            f" numbers; ask for at most {most}."
        )


def measure_widths(
    numbers: Array, widths: list[int], column_of: Array, seed: int, quiet: bool
) -> list[comparison.Width]:
    """Measure codes of these widths on some rows that are held out."""
    with show_stages("starting", quiet) as on_stage:
        require_enough(numbers, widths[-1])
        return comparison.compare_widths(
            numbers,
            widths,
            column_of=column_of,
            random_state=seed,
            on_width=lambda width: on_stage(f"{width} of {widths[-1]} components"),
        )


def explain_choice(widths: Sequence[Mapping[str, float]]) -> str:
    """Return what to add to the width that was chosen of some, as they are noted; of none, ""."""
    if not widths:
        return ""
    first, last = (widths[place]["n_components"] for place in (0, -1))
    weakness = explain_weakness([width["hidden_error"] for width in widths])
    return (
        f", of {first} to {last} the one that reconstructs hidden values best{weakness}"
    )


def explain_weakness(hidden_errors: Sequence[float]) -> str:
    """Return what to add where no width reconstructs hidden values better than their mean."""
    if min(hidden_errors) < 1:
        return ""
    return ", and not better than by their mean: the columns have little in common"
