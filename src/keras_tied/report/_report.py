"""`Report`: the rows of a table, their code and reconstruction, as one self-contained HTML page."""

import html

from keras_tied.report._contents import Contents


class Report(Contents):
    """A page on the rows of a table, their code, their reconstruction and their errors.

    It begins with sentences: which row is the oddest, why and how odd, how much of the table the
    code keeps, which column is hardest to reconstruct and how many rows stand out. Below are a map
    of the code and the errors by column, and a histogram of each column. A row that is marked in
    one place is marked everywhere. It is explained by the share of each column in its oddness and
    by what the other columns make likely, a unit of the code by the columns that it follows and by
    a slider that decodes. Many rows are drawn as a density, with the oddest and a random sample as
    points. The page is one file, loads nothing, and shows texts as plain text.

    Args:
        X: (n, features) the rows, NaN where a value is missing. Of more than two features the first
            two principal components of the standardised columns are drawn.
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
        fitted: explains rows and decodes a code, as `from_estimator` gives it. Else errors explain.
        whole: facts of all rows, where `X` is some of them. Defaults to those of `X`.
        old: the name, the rows and the outlier scores of an older table, to tell what has drifted.
        changed: columns that had one value in training, and have others now: they have drifted.
        facts: of the columns that the model was fitted to, such as `keras_tied.tables.Fact`.
        warnings: sentences on what to look at in the table.
        title: the page's heading, such as the name of the file. Defaults to "Autoencoder".
        command, versions: what made the page, and the versions of its libraries, by name.
        notes: sentences on what was left out, and why.
        safe_csv: whether downloaded rows have a `'` before text that a spreadsheet would run.
        most_points: rows that are drawn at most; fewer of many columns, or with a density.
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
