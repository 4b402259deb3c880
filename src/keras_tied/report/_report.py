"""`Report`: the rows of a table, their code and reconstruction, as one self-contained HTML page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_tied._text import format_quantity
from keras_tied._types import Array
from keras_tied.drawing import collect_history
from keras_tied.report._columns import Column, sum_columns
from keras_tied.report._drift import Drift, find_drift
from keras_tied.report._whole import Whole, measure_rows, measure_sums

if TYPE_CHECKING:
    from keras_tied.estimator.internal import Fitted


class Report:
    """A page on the rows of a table, their code, their reconstruction and their errors.

    It says first which row is the oddest and why, how much of the table the code keeps, which
    column is hardest to reconstruct and how many rows stand out, beside a map of the code and the
    errors by column. Rows that are marked in a panel, a legend or the table of the oddest rows are
    marked in all; a row is explained by the share that each column has in its oddness, and by what
    the other columns make likely; units of the code are
    explained by the columns that they follow, and by sliders that decode. The page is one file,
    loads nothing, and shows the user's own texts as plain text. Where there are many rows it draws
    how many lie where, a random sample of them, and the oddest ones always.

    Args:
        X: (n, features) the rows, with NaN where a value is missing. Of more than two features
            the first two principal components of the standardised columns are drawn.
        code: (n, components) their code, of which two units are drawn; a code of one unit is
            drawn against the row's error.
        reconstruction: (n, features) the reconstructed rows.
        feature_errors: (n, features) the squared error of each value, NaN where one is missing;
            the error of a row is their mean.
        scores: (n,) the outlier scores of the rows, from 0 on, which ranks follow. Defaults to
            their errors.
        feature_names: a name for each feature. Defaults to "column 1", ...
        columns: the columns that features belong to, in order. Defaults to one for each feature.
        ids: (n,) the names of the rows. Defaults to their numbers, counted from 1.
        labels: (n,) labels to colour the rows by, numbers or texts, None or NaN where one is
            missing. Defaults to the score.
        label_name: the name of the labels. Defaults to "label".
        history: the ``"loss"``, and maybe the ``"val_loss"``, of each epoch. Defaults to none.
        pca_error: the mean error of PCA with as many components, to compare with. Defaults to
            none.
        model: what the model is, such as "PCA". Defaults to "an autoencoder".
        widths: numbers of components, each with the error of the model, of PCA, and of hidden
            values, such as `keras_tied.comparison.compare_widths` returns. Defaults to none.
        fitted: what explains rows and decodes a code on the page, as `from_estimator` gives it.
            Defaults to none: rows are explained by their errors.
        whole: facts of all rows, where `X` is some of them. Defaults to those of `X`.
        old: the name, the rows and the outlier scores of an older table, to tell what has drifted.
            Defaults to none.
        facts: what was found in each column of the table that the model was fitted to, such as
            `keras_tied.tables.Fact`. Defaults to none.
        warnings: sentences on what to look at in the table. Defaults to none.
        title: the page's heading, such as the name of the file. Defaults to "Autoencoder".
        command: the command that made the page. Defaults to none.
        versions: the versions of the libraries that made it, by name. Defaults to none.
        notes: sentences on what was left out, and why. Defaults to none.
        safe_csv: whether the rows that are downloaded from the page have a `'` before text that a
            spreadsheet would run. Defaults to False.
        most_points: rows that are drawn at most. Defaults to 5,000, and to fewer where there are
            many columns or where it is drawn how many rows lie where.
        n_worst: rows that the table begins with, the oddest ones. Defaults to 20.
        random_state: seed of the sample. Defaults to 0.

    Raises:
        ValueError: where the arrays do not fit, hold infinities, or have no rows.

    Examples:
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
        columns: Sequence[Column] | None = None,
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
        self.code = _check_table(code, "code", n)
        self.reconstruction = _check_table(reconstruction, "reconstruction", n, n_features)
        self.feature_errors = _check_table(feature_errors, "feature_errors", n, n_features)
        self.scores = self.errors
        if scores is not None:
            self.scores = _check_column(scores, "scores", n, "row").astype(np.float64)
        names = (
            feature_names
            if feature_names is not None
            else [f"column {i + 1}" for i in range(n_features)]
        )
        self.feature_names = _check_column(names, "feature_names", n_features, "column")
        self.columns = _check_columns(columns, self.feature_names)
        self.ids = None if ids is None else _check_column(ids, "ids", n, "row")
        self.labels = None if labels is None else _check_column(labels, "labels", n, "row")
        self.label_name = label_name
        self.history = {} if history is None else {k: list(v) for k, v in history.items()}
        self.pca_error, self.widths = pca_error, _check_widths(widths)
        self.title, self.command, self.versions = title, command, dict(versions or {})
        self.notes, self.facts, self.warnings = list(notes), list(facts), list(warnings)
        self.model, self.fitted, self.safe_csv = model, fitted, safe_csv
        self.old = None
        if old is not None:
            rows = _check_table(old[1], "the rows of old", n_columns=n_features)
            of_old = _check_column(old[2], "the scores of old", len(rows), "row")
            self.old = old[0], rows, of_old.astype(np.float64)
        if whole is None:
            whole = measure_rows(self.feature_errors, self.errors, self.scores)
        self.whole = whole
        self.most_points, self.n_worst, self.random_state = most_points, n_worst, random_state

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, **kwargs: Any) -> Self:
        """Make a report on some rows and a fitted estimator.

        Args:
            estimator: a fitted `TiedAutoencoder`, or an object with its methods.
            X: (n, features) the rows: an array, or a data frame whose column names are used.
            **kwargs: the other arguments of `Report`, instead of what the estimator gives.

        Examples:
            >>> from sklearn.datasets import load_iris
            >>> from keras_tied import TiedAutoencoder
            >>> iris = load_iris()
            >>> autoencoder = TiedAutoencoder(random_state=0).fit(iris.data)
            >>> report = Report.from_estimator(autoencoder, iris.data, labels=iris.target)
            >>> report.code.shape
            (150, 2)
        """
        fitted = _find_value(estimator)
        feature_errors = estimator.reconstruction_error(X, per_feature=True)
        defaults: dict[str, Any] = {
            "feature_names": getattr(estimator, "feature_names_in_", None),
            "history": collect_history(estimator),
            "fitted": fitted,
        }
        if fitted is not None:
            defaults["model"] = name_model(fitted, getattr(estimator, "is_pca_", False))
        if hasattr(estimator, "score_samples"):
            defaults["scores"] = np.negative(estimator.score_samples(X))
        report = cls(
            X,
            estimator.transform(X),
            estimator.reconstruct(X),
            feature_errors,
            **(defaults | kwargs),
        )
        if fitted is not None and kwargs.get("whole") is None:
            ordinary = report.X[~fitted.find_far_rows(report.X)]
            report.whole = measure_sums(
                report.scores,
                report.errors,
                fitted.sums_of_squares(ordinary, np.ones(len(ordinary))),
                np.arange(len(report.X)),
                int(fitted.stand_out(report.scores, len(report.X)).sum()),
            )
        return report

    @property
    def errors(self) -> NDArray[np.float64]:
        """(n,) the error of each row: the mean over the features that are not missing."""
        present = ~np.isnan(self.feature_errors)
        total = np.nansum(self.feature_errors, axis=1)
        return np.where(present.any(axis=1), total / np.maximum(present.sum(axis=1), 1), np.nan)

    @property
    def explains(self) -> bool:
        """Whether a fitted value tells why rows are odd."""
        return self.fitted is not None and self.fitted.outlier_score is not None

    @property
    def is_far(self) -> NDArray[np.bool_]:
        """(n,) which rows hold a value far outside its column, unless all do."""
        far = np.zeros(len(self.X), bool)
        if self.fitted is not None and self.explains:
            far = self.fitted.find_far_rows(self.X)
        return far & (not far.all())

    def explain(self, rows: NDArray[np.intp]) -> tuple[Array, Array, Array]:
        """Explain some rows.

        Args:
            rows: (m,) their numbers among those of the report.

        Returns:
            The share of each column in a row's oddness, (m, columns); what the other columns make
            likely, (m, features); and one row in how many is as odd with that in the column of the
            largest share, (m,). Without a fitted value, shares of the error, reconstructions, and
            NaN.
        """
        n_columns = len(self.columns)
        if self.fitted is None or not self.explains:
            shares = sum_columns(self.columns, np.nan_to_num(self.feature_errors[rows]))
            total = shares.sum(axis=1, keepdims=True)
            shares = shares / np.where(total > 0, total, 1.0)
            return shares, self.reconstruction[rows], np.full(len(rows), np.nan)
        reasons = self.fitted.explain(self.X[rows])
        shares = reasons.shares
        mended = reasons.scores[np.arange(len(rows)), shares.argmax(axis=1)]
        if shares.shape[1] != n_columns:  # the estimator knows features alone
            shares = sum_columns(self.columns, shares)
        return shares, reasons.expected, self.fitted.rarity(mended)

    def find_drift(self) -> tuple[list[Drift], Drift]:
        """Tell how far columns, the most first, and the score have drifted since the older table.

        Raises:
            ValueError: if there is no older table.
        """
        if self.old is None:
            raise ValueError("the report has no older table; give it one as old.")
        _, old, old_scores = self.old
        return find_drift(self.columns, old, self.X, old_scores, self.scores)

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
            '<iframe sandbox="allow-scripts allow-downloads" style="width:100%;height:48rem;'
            f'border:0" title="Report" srcdoc="{page}"></iframe>'
        )


def name_model(fitted: Fitted, is_pca: bool) -> str:
    """Return what a fitted value is, such as "PCA with 2 components"."""
    sizes = fitted.network.layer_sizes
    if is_pca:
        return f"PCA with {format_quantity(sizes[-1], 'component')}"
    return f"a network of {' → '.join(f'{size:,}' for size in sizes)} units with tied weights"


def _find_value(estimator: Any) -> Fitted | None:
    from keras_tied.estimator.internal import Fitted

    found = estimator if isinstance(estimator, Fitted) else getattr(estimator, "_fitted", None)
    return found if isinstance(found, Fitted) else None


def _check_table(
    values: ArrayLike, name: str, n: int | None = None, n_columns: int | None = None
) -> Array:
    table = np.asarray(values)
    if table.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds values of type {table.dtype}; give numbers.")
    fits = table.ndim == 2 and n in (None, len(table)) and n_columns in (None, table.shape[-1])
    if not fits or 0 in table.shape:
        rows, columns = n or "at least 1", n_columns or "at least 1"
        raise ValueError(
            f"{name} has the shape {table.shape}; give a table of {rows} rows and {columns} "
            "columns."
        )
    table = table.astype(np.float64)
    if np.isinf(table).any():
        raise ValueError(f"{name} has infinite values; remove those rows, or give NaN for them.")
    return table


def _check_widths(widths: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    rows = [tuple(width[:4]) for width in widths]
    if any(len(row) < 4 for row in rows):
        raise ValueError(
            "widths has an entry of fewer than 4 numbers; give a number of components and three "
            "errors in each, as keras_tied.comparison.compare_widths does."
        )
    return rows


def _check_column(values: ArrayLike, name: str, n: int, of: str) -> Array:
    column = np.asarray(values)
    if column.shape != (n,):
        raise ValueError(f"{name} has the shape {column.shape}; give one for each {of}, {n}.")
    return column


def _check_columns(columns: Sequence[Column] | None, names: Array) -> list[Column]:
    if columns is None:
        return [Column(str(name)) for name in names]
    n = sum(column.n_features for column in columns)
    if n != len(names):
        raise ValueError(f"columns have {n} features in all; give columns of {len(names)}.")
    return list(columns)
