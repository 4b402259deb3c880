"""`Report`: what a page says of the rows of a table, and the page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from tied_tables._text import format_quantity
from tied_tables._types import Array
from tied_tables.columns import Column, Columns
from tied_tables.model.value import TableModel
from tied_tables.report._columns import slice_columns
from tied_tables.report._drift import Drift, find_drift
from tied_tables.report._rows import Rows
from tied_tables.report._whole import Whole


@dataclass(frozen=True)
class About:
    """What a page tells of the table and the model, and of how it was made itself.

    Args:
        title: the heading, such as the name of the file.
        model: what the model is, such as "PCA".
        pca_error: the mean error of PCA with as many components. Defaults to none.
        warnings: sentences on what to look at in the table.
        facts: of the columns that the model was fitted to, such as
            `tied_tables.columns.Fact`.
        rules: between columns, in words.
        broken: values that break rules, or are unlike the others of their column in how
            they are written, such as `tied_tables.rules.Doubt`.
        notes: sentences on what was left out, and why.
        command: what made the page. Defaults to none.
        versions: those of its libraries, by name.
        safe_csv: whether downloaded rows have a `'` before text that a spreadsheet
            would run.
    """

    title: str = "Autoencoder"
    model: str = "an autoencoder"
    pca_error: float | None = None
    warnings: Sequence[str] = ()
    facts: Sequence[Any] = ()
    rules: Sequence[str] = ()
    broken: Sequence[Any] = ()
    notes: Sequence[str] = ()
    command: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    safe_csv: bool = False


def describe_model(fitted: TableModel) -> str:
    """Say what a fitted value is."""
    sizes = fitted.network.layer_sizes
    if fitted.training.is_pca:
        return f"PCA with {format_quantity(sizes[-1], 'component')}"
    units = " → ".join(f"{size:,}" for size in sizes)
    return f"a network of {units} units with tied weights"


@dataclass(eq=False)
class Report:
    """A page on the rows of a table, their code, their reconstruction and their errors.

    It says which row is the oddest and why, how much of the table the code keeps, and
    which column is hardest to reconstruct; it draws the code, the errors and each
    column, and explains a row or a unit of the code that is chosen. Many rows are drawn
    as a density, with the oddest and a random sample as points. The page is one file,
    loads nothing, and shows texts as plain text. Of more than two features the first
    two principal components of the standardised columns are drawn, and of a code two
    units, or one and the error.

    Args:
        fitted: explains rows and decodes a code.
        rows: the rows, and what the model makes of them.
        columns: the columns that the features of the rows belong to, in order.
        all_rows: facts of all rows of the table, of which `rows` are some.
        old: the name, the rows and the outlier scores of an older table, to tell what
            has drifted. Defaults to none.
        changed: columns that had one value in training, and have others now: they have
            drifted.
        about: the title of the page, and what it tells of the table.
        most_points: rows that are drawn at most; fewer of many columns, or with a
            density.
        n_worst: rows that the table begins with, the oddest ones.

    Raises:
        ValueError: where the columns do not fit the rows.

    Examples:
        >>> from tied_tables.report import Report
        >>> from sklearn.datasets import load_iris
        >>> from tied_tables import TiedAutoencoder
        >>> iris = load_iris(as_frame=True).data
        >>> autoencoder = TiedAutoencoder(random_state=0, max_iter=5).fit(iris)
        >>> report = Report.from_estimator(autoencoder, iris, title="iris.csv")
        >>> "<h1>iris.csv</h1>" in report.to_html()
        True
    """

    fitted: TableModel
    rows: Rows
    columns: Sequence[Column]
    all_rows: Whole
    old: tuple[str, Array, Array] | None = None
    changed: Sequence[Drift] = ()
    about: About = field(default_factory=About)
    most_points: int = 5000
    n_worst: int = 20

    def __post_init__(self) -> None:
        n_features = self.rows.X.shape[1]
        total = sum(len(column.features) for column in self.columns)
        if total != n_features:
            raise ValueError(
                f"columns have {total} features in all; give columns of {n_features}."
            )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        feature_names: Sequence[str] | None = None,
        ids: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        label_name: str = "label",
        title: str = "Autoencoder",
        old: tuple[str, Any] | None = None,
        **facts: Any,
    ) -> Self:
        """Make a report on some rows and a fitted estimator.

        Args:
            estimator: a fitted `TiedAutoencoder`.
            X: (n, features) the rows: an array, or a data frame whose column names are
                used; one with columns of any kind, if the estimator was fitted to such
                a frame.
            feature_names: a name for each feature. Defaults to those of the estimator,
                or "column 1", ...
            ids: (n,) the names of the rows. Defaults to their numbers.
            labels: (n,) colour the rows. Defaults to the outlier score.
            label_name: the name of the labels.
            title: the page's heading, such as the name of the file.
            old: the name of an older table and its rows, as `X`, to tell what has
                drifted. Defaults to none.
            **facts: the other arguments of `Report`.

        Examples:
            >>> from tied_tables.report import Report
            >>> from sklearn.datasets import load_iris
            >>> from tied_tables import TiedAutoencoder
            >>> iris = load_iris()
            >>> autoencoder = TiedAutoencoder(random_state=0).fit(iris.data)
            >>> kinds = iris.target
            >>> report = Report.from_estimator(autoencoder, iris.data, labels=kinds)
            >>> report.rows.code.shape
            (150, 2)
        """
        estimator = copy(estimator)  # which another thread may fit again
        X = estimator.to_numbers(X)
        fitted = estimator._model
        all_rows = Whole(fitted)
        all_rows.add(X)
        rows = Rows.compute(
            fitted,
            X,
            outlier_scores=all_rows.scores,
            ids=ids,
            labels=labels,
            label_name=label_name,
        )
        columns = fitted.columns or _name_columns(estimator, feature_names)
        if old is not None:
            facts["old"] = _score_old_rows(estimator, *old)
        facts.setdefault("about", About(title, describe_model(fitted)))
        return cls(fitted, rows, columns.used, all_rows, **facts)

    @property
    def missing(self) -> Array:
        """(columns,) the share of the values of each that are missing, in all rows."""
        starts = [part.start for _, part in slice_columns(self.columns)]
        return np.asarray(self.all_rows.missing)[starts] / self.all_rows.n_rows

    @cached_property
    def far_values(self) -> Array:
        """(n, features) which values lie far outside of their columns."""
        return self.fitted.find_far_values(self.rows.X)

    @property
    def is_far(self) -> Array:
        """(n,) which rows hold a value far outside its column, unless all do."""
        is_far = np.asarray(self.far_values.any(axis=1))
        return is_far & ~is_far.all()

    def find_drift(self) -> tuple[list[Drift], Drift]:
        """Tell how far columns, the most first, and the score have drifted."""
        if self.old is None:
            raise ValueError("the report has no older table; pass one as old.")
        _, old, old_scores = self.old
        drifts, score = find_drift(
            self.columns, old, self.rows.X, old_scores, self.rows.scores
        )
        # Of rows that a model was fitted to, the scores are less than those of others.
        was_fitted = self.fitted.largest_rarity == len(old)
        if was_fitted and not self.all_rows.has_drifted:
            score = replace(score, p=1.0)
        return [*self.changed, *drifts], score

    def name_drifts(self) -> list[str]:
        """Name the columns and scores that have drifted; of no older table, scores."""
        if self.old is None:
            return ["outlier score"] * self.all_rows.has_drifted
        drifts, score = self.find_drift()
        return [drift.name for drift in [*drifts, score] if drift.has_drifted]

    def to_html(self) -> str:
        """Return the page, to be written as UTF-8.

        Raises:
            ImportError: if Bokeh or Jinja2 is not installed.
        """
        require_libraries()
        from tied_tables.report._page import render

        return render(self)

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, for a notebook."""
        page = html.escape(self.to_html(), quote=True)
        return (
            '<iframe sandbox="allow-scripts allow-downloads"'
            ' style="width:100%;height:48rem;border:0" title="Report"'
            f' srcdoc="{page}"></iframe>'
        )


def require_libraries() -> None:
    """Raise an `ImportError` if what makes the page is not installed."""
    try:
        import bokeh  # noqa: F401
        import jinja2  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "a report needs Bokeh and Jinja2, which are not installed; "
            'run pip install "tied-tables[report]".'
        ) from error


def _score_old_rows(estimator: Any, name: str, X: Any) -> tuple[str, Array, Array]:
    """Return the name, the numbers and the outlier scores of an older table."""
    numbers = estimator.to_numbers(X)
    return name, numbers, -estimator._model.score_samples(numbers)


def _name_columns(estimator: Any, names: Sequence[str] | None) -> Columns:
    """Columns of numbers of an estimator, by these names or those that it has."""
    if names is None:
        numbered = [f"column {i + 1}" for i in range(estimator.n_features_in_)]
        names = getattr(estimator, "feature_names_in_", numbered)
    return Columns.of_numbers(names)
