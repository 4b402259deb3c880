"""PCA of standardised columns, by scikit-learn."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def fit_pca(train, width):
    return make_pipeline(StandardScaler(), PCA(width, svd_solver="full")).fit(train)


def pca_error(train, rows, width):
    """PCA's mean squared error on standardised rows."""
    pipeline = fit_pca(train, width)
    restored = pipeline.inverse_transform(pipeline.transform(rows))
    return np.mean(((restored - rows) / pipeline[0].scale_) ** 2)
