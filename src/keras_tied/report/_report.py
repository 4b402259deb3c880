"""`Report`: the rows of a table, their code and reconstruction, as one self-contained HTML page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from keras_tied._text import format_quantity
from keras_tied._types import Array
from keras_tied.drawing import collect_history
from keras_tied.fitted.value import Fitted
from keras_tied.report._columns import Column, slice_columns, sum_columns
from keras_tied.report._drift import Drift, find_drift
from keras_tied.report._kinds import list_columns
from keras_tied.report._whole import Tally, Whole

if TYPE_CHECKING:
    from keras_tied.columns import Columns


class Report:
    """A page on the rows of a table, their code, their reconstruction and their errors.

    It says which row is the oddest and why, how much of the table the code keeps, and
    which column is hardest to reconstruct; it draws the code, the errors and each
    column, and explains a row or a unit of the code that is chosen. Many rows are drawn
    as a density, with the oddest and a random sample as points. The page is one file,
    loads nothing, and shows texts as plain text.

    Args:
        X: (n, features) the rows, NaN where a value is missing. Of more than two
            features the first two principal components of the standardised columns are
            drawn.
        code: (n, components) their code, of which two units are drawn, or one and the
            error.
        reconstruction: (n, features) the reconstructed rows.
        feature_errors: (n, features) the squared error of each value, NaN where one is
            missing; the error of a row is their mean.
        scores: (n,) the outlier scores, from 0 on, which ranks follow. Defaults to the
            errors.
        feature_names: a name for each feature. Defaults to "column 1", ...
        columns: the columns that features belong to, in order, also as
            `keras_tied.columns.Columns`. Defaults to one for each feature.
        ids: (n,) the names of the rows. Defaults to their numbers, counted from 1.
        labels: (n,) colour the rows, None or NaN where one is missing. Defaults to the
            score.
        label_name: the name of the labels. Defaults to "label".
        history: the ``"loss"``, and maybe the ``"val_loss"``, of each epoch. Defaults
            to none.
        pca_error: the mean error of PCA with as many components, to compare with.
            Defaults to none.
        model: what the model is, such as "PCA". Defaults to "an autoencoder".
        widths: what `keras_tied.comparison.compare_widths` has measured. Defaults to
            none.
        fitted: explains rows and decodes a code, as `from_estimator` gives it. Else
            errors explain.
        whole: facts of all rows, where `X` is some of them. Defaults to those of `X`.
        old: the name, the rows and the outlier scores of an older table, to tell what
            has drifted.
        changed: columns that had one value in training, and have others now: they have
            drifted.
        facts: of the columns that the model was fitted to, such as
            `keras_tied.columns.Fact`.
        warnings: sentences on what to look at in the table.
        title: the page's heading, such as the name of the file. Defaults to
            "Autoencoder".
        command, versions: what made the page, and the versions of its libraries, by
            name.
        notes: sentences on what was left out, and why.
        safe_csv: whether downloaded rows have a `'` before text that a spreadsheet
            would run.
        most_points: rows that are drawn at most; fewer of many columns, or with a
            density.
        n_worst: rows that the table begins with, the oddest ones.
        random_state: seed of the sample.

    Raises:
        ValueError: where the arrays do not fit, hold infinities, or have no rows.

    Examples:
        >>> import numpy as np
        >>> from keras_tied.report import Report
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(30, 4))
        >>> report = Report(X, X[:, :2], 0.9 * X, (0.1 * X) ** 2, title="rows.csv")
        >>> "<h1>rows.csv</h1>" in report.to_html()
        True
    """

    def __init__(
        self,
        X: ArrayLike,
        code: ArrayLike,
        reconstruction: ArrayLike,
        feature_errors: ArrayLike,
        *,
        scores: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        columns: Sequence[Column] | Columns | None = None,
        ids: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        label_name: str = "label",
        history: Mapping[str, Sequence[float]] | None = None,
        pca_error: float | None = None,
        model: str = "an autoencoder",
        widths: Sequence[tuple[Any, ...]] = (),
        fitted: Fitted | None = None,
        whole: Whole | None = None,
        old: tuple[str, ArrayLike, ArrayLike] | None = None,
        changed: Sequence[Drift] = (),
        facts: Sequence[Any] = (),
        warnings: Sequence[str] = (),
        title: str = "Autoencoder",
        command: str | None = None,
        versions: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
        safe_csv: bool = False,
        most_points: int = 5000,
        n_worst: int = 20,
        random_state: int = 0,
    ) -> None:
        self.X = _check_table(X, "X")
        n, n_features = self.X.shape
        self.code: Array = _check_table(code, "code", n)
        self.reconstruction: Array = _check_table(
            reconstruction, "reconstruction", n, n_features
        )
        self.feature_errors: Array = _check_table(
            feature_errors, "feature_errors", n, n_features
        )
        scores = self.errors if scores is None else _check_column(scores, "scores", n)
        self.scores: Array = scores.astype(np.float64)
        if feature_names is None:
            feature_names = [f"column {i + 1}" for i in range(n_features)]
        self.feature_names: Array = _check_column(
            feature_names, "feature_names", n_features, "column"
        )
        if columns is None:
            columns = [Column(str(name)) for name in self.feature_names]
        self.columns: Sequence[Column] = list_columns(columns)
        if (held := sum(column.n_features for column in self.columns)) != n_features:
            raise ValueError(
                f"columns have {held} features in all; give columns of {n_features}."
            )
        self.ids: Array | None = None if ids is None else _check_column(ids, "ids", n)
        self.labels: Array | None = (
            None if labels is None else _check_column(labels, "labels", n)
        )
        self.label_name = label_name
        self.history: dict[str, list[float]] = {
            key: list(losses) for key, losses in (history or {}).items()
        }
        self.pca_error: float | None = pca_error
        self.widths: list[tuple[Any, ...]] = [tuple(width[:4]) for width in widths]
        if any(len(width) < 4 for width in self.widths):
            raise ValueError(
                "widths has an entry of fewer than 4 numbers; give a number of"
                " components and three errors in each, as"
                " keras_tied.comparison.compare_widths does."
            )
        self.title: str = title
        self.command: str | None = command
        self.versions: Mapping[str, str] = versions or {}
        self.notes: Sequence[str] = notes
        self.facts: Sequence[Any] = facts
        self.warnings: Sequence[str] = warnings
        self.model: str = model
        self.fitted: Fitted | None = fitted
        self.safe_csv: bool = safe_csv
        self.changed: Sequence[Drift] = changed
        self.old: tuple[str, Array, Array] | None = None
        if old is not None:
            rows = _check_table(old[1], "the rows of old", n_columns=n_features)
            old_scores = _check_column(old[2], "the scores of old", len(rows))
            self.old = old[0], rows, old_scores.astype(np.float64)
        self.whole: Whole = whole or self._measure()
        self.most_points: int = most_points
        self.n_worst: int = n_worst
        self.random_state: int = random_state

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, **kwargs: Any) -> Self:
        """Make a report on some rows and a fitted estimator.

        Args:
            estimator: a fitted `TiedAutoencoder`, or an object with its methods.
            X: (n, features) the rows: an array, or a data frame whose column names are
                used; one with columns of any kind, if the estimator was fitted to such
                a frame.
            **kwargs: the other arguments of `Report`, instead of what the estimator
                gives.

        Examples:
            >>> from keras_tied.report import Report
            >>> from sklearn.datasets import load_iris
            >>> from keras_tied import TiedAutoencoder
            >>> iris = load_iris()
            >>> autoencoder = TiedAutoencoder(random_state=0).fit(iris.data)
            >>> report = Report.from_estimator(autoencoder, iris.data, labels=iris.target)
            >>> report.code.shape
            (150, 2)
        """
        fitted = getattr(estimator, "_fitted", estimator)
        names, history = (
            getattr(estimator, "feature_names_in_", None),
            collect_history(estimator),
        )
        defaults: dict[str, Any] = {"feature_names": names, "history": history}
        is_pca = getattr(estimator, "is_pca_", False)
        if (columns := getattr(estimator, "_columns", None)) is not None:
            from keras_tied.estimator import validate_rows  # imports scikit-learn

            X = validate_rows(estimator, X)
            defaults |= {"feature_names": columns.features, "columns": columns}
            estimator = fitted
        if isinstance(fitted, Fitted):
            defaults |= {"fitted": fitted, "model": name_model(fitted, is_pca)}
        if hasattr(estimator, "score_samples"):
            defaults["scores"] = np.negative(estimator.score_samples(X))
        code, reconstruction = estimator.transform(X), estimator.reconstruct(X)
        errors = estimator.reconstruction_error(X, per_feature=True)
        return cls(X, code, reconstruction, errors, **(defaults | kwargs))

    def _measure(self) -> Whole:
        """Measure the table, of which the report holds all rows."""
        fitted, n = self.explainer, len(self.X)
        (tally := Tally(fitted)).add(self.X)
        if fitted is None:  # nor is it known what the errors of the mean would be
            unknown, squares = np.zeros((2, self.X.shape[1])), self.feature_errors
            present = (~np.isnan(squares)).sum(axis=0)
            tally.sums = np.stack([*unknown, present, np.nansum(squares, axis=0)])
        n_outstanding = int(fitted.stand_out(self.scores, n).sum()) if fitted else 0
        return Whole(self.errors, self.scores, np.arange(n), tally, n_outstanding)

    @property
    def errors(self) -> Array:
        """(n,) the error of each row: the mean over the features that are not missing."""
        present = ~np.isnan(self.feature_errors)
        total = np.nansum(self.feature_errors, axis=1)
        return np.where(
            present.any(axis=1), total / np.maximum(present.sum(axis=1), 1), np.nan
        )

    @property
    def missing(self) -> Array:
        """(columns,) the share of the values of each column that are missing, in all rows."""
        starts = [part.start for part in slice_columns(self.columns)]
        return np.asarray(self.whole.tally.missing)[starts] / self.whole.n_rows

    @property
    def explainer(self) -> Fitted | None:
        """The fitted value, if it tells why rows are odd."""
        return self.fitted if self.fitted and self.fitted.outlier_score else None

    @property
    def is_far(self) -> Array:
        """(n,) which rows hold a value far outside its column, unless all do."""
        if self.explainer is None:
            return np.zeros(len(self.X), bool)
        far = self.explainer.find_far_rows(self.X)
        return np.asarray(far & (not far.all()))

    def explain(self, rows: Array) -> tuple[Array, Array, Array]:
        """Explain some rows, by their numbers among those of the report.

        Returns the share of each column in a row's oddness, (m, columns); what the
        others make likely, (m, features); and one row in how many is as odd with that
        in the column of the largest share, (m,). Without an explainer, shares of the
        error, reconstructions, NaN.
        """
        if self.explainer is None:
            shares = sum_columns(self.columns, np.nan_to_num(self.feature_errors[rows]))
            total = shares.sum(axis=1, keepdims=True)
            shares = shares / np.where(total > 0, total, 1.0)
            return shares, self.reconstruction[rows], np.full(len(rows), np.nan)
        reasons = self.explainer.explain(self.X[rows])
        shares = reasons.shares
        scores = reasons.scores[np.arange(len(rows)), shares.argmax(axis=1)]
        if shares.shape[1] != len(self.columns):  # the estimator knows features alone
            shares = sum_columns(self.columns, shares)
        return shares, reasons.expected, self.explainer.find_rarity(scores)

    def find_drift(self) -> tuple[list[Drift], Drift]:
        """Tell how far columns, the most first, and the score have drifted from an older table."""
        if self.old is None:
            raise ValueError("the report has no older table; give it one as old.")
        drifts, score = find_drift(
            self.columns, self.old[1], self.X, self.old[2], self.scores
        )
        return [*self.changed, *drifts], score

    def to_html(self) -> str:
        """Return the page, to be written as UTF-8.

        Raises:
            ImportError: if Bokeh or Jinja2 is not installed.
        """
        try:
            from keras_tied.report import _page
        except ImportError as error:
            raise ImportError(
                "a report needs Bokeh and Jinja2, which are not installed; "
                'run pip install "keras-tied[report]".'
            ) from error
        return _page.render_html(self)

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, for a notebook."""
        page = html.escape(self.to_html(), quote=True)
        return (
            '<iframe sandbox="allow-scripts allow-downloads"'
            ' style="width:100%;height:48rem;border:0" title="Report"'
            f' srcdoc="{page}"></iframe>'
        )


def name_model(fitted: Fitted, is_pca: bool) -> str:
    """Return what a fitted value is, such as "PCA with 2 components"."""
    sizes = fitted.network.layer_sizes
    if is_pca:
        return f"PCA with {format_quantity(sizes[-1], 'component')}"
    return (
        f"a network of {' → '.join(f'{size:,}' for size in sizes)} units with tied"
        " weights"
    )


def _check_table(
    values: ArrayLike, name: str, n: int | None = None, n_columns: int | None = None
) -> Array:
    table = np.asarray(values)
    if table.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds values of type {table.dtype}; give numbers.")
    fits = (
        table.ndim == 2
        and n in (None, len(table))
        and n_columns in (None, table.shape[-1])
    )
    if not fits or 0 in table.shape:
        rows, columns = n or "at least 1", n_columns or "at least 1"
        needed = f"{rows} rows and {columns} columns"
        raise ValueError(
            f"{name} has the shape {table.shape}; give a table of {needed}."
        )
    table = table.astype(np.float64)
    if np.isinf(table).any():
        raise ValueError(
            f"{name} has infinite values; remove those rows, or give NaN for them."
        )
    return table


def _check_column(values: ArrayLike, name: str, n: int, of: str = "row") -> Array:
    column = np.asarray(values)
    if column.shape != (n,):
        raise ValueError(
            f"{name} has the shape {column.shape}; give one for each {of}, {n}."
        )
    return column
