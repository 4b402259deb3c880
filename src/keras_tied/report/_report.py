"""`Report`: the rows of a table, their code and reconstruction, as one self-contained HTML page."""

import html
from typing import Any, Self

import numpy as np

from keras_tied._text import format_quantity
from keras_tied.drawing import collect_history
from keras_tied.estimator.internal import Fitted
from keras_tied.report._contents import Contents
from keras_tied.report._whole import measure_sums


class Report(Contents):
    """A page on the rows of a table, their code, their reconstruction and their errors.

    The page begins with sentences: which row is the oddest and why, how much of the table the code
    keeps, which column is hardest to reconstruct and how many rows stand out. Below are a map of
    the code and the errors by column. Rows that are marked in a panel, a legend or the table of the
    oddest rows are marked everywhere. A row is explained by the share that each column has in its
    oddness and by what the other columns make likely, a unit of the code by the columns that it
    follows and by a slider that decodes. Many rows are drawn as a density, with the oddest rows and
    a random sample as points. The page is one file, loads nothing, and shows texts as plain text.

    Args:
        X: (n, features) the rows, with NaN where a value is missing. Of more than two features
            the first two principal components of the standardised columns are drawn.
        code: (n, components) their code, of which two units are drawn, or one and the error.
        reconstruction: (n, features) the reconstructed rows.
        feature_errors: (n, features) the squared error of each value, NaN where one is missing;
            the error of a row is their mean.
        scores: (n,) the outlier scores, from 0 on, which ranks follow. Defaults to the errors.
        feature_names: a name for each feature. Defaults to "column 1", ...
        columns: the columns that features belong to, in order. Defaults to one for each feature.
        ids: (n,) the names of the rows. Defaults to their numbers, counted from 1.
        labels: (n,) colour the rows, None or NaN where one is missing. Defaults to the score.
        label_name: the name of the labels. Defaults to "label".
        history: the ``"loss"``, and maybe the ``"val_loss"``, of each epoch. Defaults to none.
        pca_error: the mean error of PCA with as many components, to compare with. Defaults to none.
        model: what the model is, such as "PCA". Defaults to "an autoencoder".
        widths: what `keras_tied.comparison.compare_widths` has measured. Defaults to none.
        fitted: what explains rows and decodes a code on the page, as `from_estimator` gives it.
            Defaults to none: rows are explained by their errors.
        whole: facts of all rows, where `X` is some of them. Defaults to those of `X`.
        old: the name, the rows and the outlier scores of an older table, to tell what has drifted.
        facts: of the columns that the model was fitted to, such as `keras_tied.tables.Fact`.
        warnings: sentences on what to look at in the table.
        title: the page's heading, such as the name of the file. Defaults to "Autoencoder".
        command: the command that made the page.
        versions: the versions of the libraries that made it, by name.
        notes: sentences on what was left out, and why.
        safe_csv: whether rows that are downloaded have a `'` before text that a spreadsheet would
            run. Defaults to False.
        most_points: rows that are drawn at most; fewer of many columns, or with a density.
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
        fitted = getattr(estimator, "_fitted", estimator)
        defaults: dict[str, Any] = {
            "feature_names": getattr(estimator, "feature_names_in_", None),
            "history": collect_history(estimator),
        }
        if isinstance(fitted, Fitted):
            is_pca = getattr(estimator, "is_pca_", False)
            defaults |= {"fitted": fitted, "model": name_model(fitted, is_pca)}
        if hasattr(estimator, "score_samples"):
            defaults["scores"] = np.negative(estimator.score_samples(X))
        code, reconstruction = estimator.transform(X), estimator.reconstruct(X)
        errors = estimator.reconstruction_error(X, per_feature=True)
        report = cls(X, code, reconstruction, errors, **(defaults | kwargs))
        if isinstance(fitted, Fitted) and kwargs.get("whole") is None:
            ordinary = report.X[~fitted.find_far_rows(report.X)]
            sums = fitted.sums_of_squares(ordinary, np.ones(len(ordinary)))
            scores, places = report.scores, np.arange(len(report.X))
            n_outstanding = int(fitted.stand_out(scores, len(places)).sum())
            report.whole = measure_sums(scores, report.errors, sums, places, n_outstanding)
        return report

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
