"""How often the number of components that is known is found.

Tables are made of some components and noise, linear ones and curved ones. Their number is chosen as
`keras-tied fit --components 1..8` does, and by the share of variance of PCA. The seeds are others
than those that the way to choose was chosen on.

    python benchmarks/widths.py
"""

from collections.abc import Callable, Iterator

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from keras_tied.comparison import choose_width, compare_widths

WIDTHS = range(1, 9)
SEEDS = range(200, 204)
SHARES = 0.8, 0.9


def make_tables(curve: Callable[[np.ndarray], np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield numbers of components and tables of 500 rows, six columns for each component."""
    for seed in SEEDS:
        for n_components in (2, 3, 5):
            for noise in (0.1, 0.3):
                random = np.random.default_rng(seed)
                n_features = 6 * n_components
                code = random.uniform(-1, 1, size=(500, n_components))
                X = curve(1.5 * code @ random.normal(size=(n_components, n_features)))
                yield n_components, X + noise * random.normal(size=X.shape)


def choose_by_share(X: np.ndarray, share: float) -> int:
    """The number of principal components that keep a share of the variance."""
    return PCA(share).fit(StandardScaler().fit_transform(X)).n_components_


def main() -> None:
    """Print a row for each kind of table."""
    header = ["hidden values", *(f"{share:.0%} of the variance" for share in SHARES)]
    print("tables", "number", *header, "components that are off by, in the mean", sep=" | ")
    for name, curve in (("linear", lambda values: values), ("curved", np.tanh)):
        truths, found = [], []
        for n_components, X in make_tables(curve):
            truths.append(n_components)
            ours = choose_width(compare_widths(X, WIDTHS))
            found.append([ours, *(choose_by_share(X, share) for share in SHARES)])
        errors = np.abs(np.array(found) - np.array(truths)[:, None])
        right = [f"{n} right" for n in (errors == 0).sum(axis=0)]
        print(name, len(truths), *right, *(f"{e:.2f}" for e in errors.mean(axis=0)), sep=" | ")


if __name__ == "__main__":
    main()
