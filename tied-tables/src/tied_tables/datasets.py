"""A sample table."""

from typing import Any, TypeAlias

import numpy as np

RandomState: TypeAlias = int | np.random.RandomState | None  # as in scikit-learn


def make_clients(
    n_samples: int = 300,
    random_state: RandomState = None,
) -> dict[str, list[Any]]:
    """Make up a table of clients, by column: text, numbers, dates and truth values.

    With a new e ~ N(0, 1) each time, an age is U{18..79}, the income exp(10 + min(age,
    50) / 50 + 0.3 e), the orders are Poisson(income / 4000), and 40 + 5 e is spent on
    each. The plan follows the income, and all else is uniform. One income in ten is
    missing. Two rows are odd: a third down the table, 25 times as much is spent, and
    two thirds down, 1500 are spent on no order.

    Args:
        n_samples: Rows to draw.
        random_state: As in scikit-learn.

    Raises:
        ValueError: If n_samples is below 1.

    Examples:
        >>> ", ".join(make_clients())
        'client, town, age, income, plan, orders, spent, joined, newsletter'
    """
    if n_samples < 1:
        raise ValueError(f"n_samples={n_samples} must be at least 1.")
    from sklearn.utils import check_random_state  # which takes a while to import

    rng: np.random.RandomState = check_random_state(random_state)
    n = n_samples
    age = rng.randint(18, 80, n)
    mean_log_income = 10 + np.minimum(age, 50) / 50
    log_income = mean_log_income + 0.3 * rng.normal(size=n)
    income = np.exp(log_income).round(-2).astype(int)
    orders = rng.poisson(income / 4000)
    price = 40 + 5 * rng.normal(size=n)
    spent = (orders * price).round(2)
    levels = np.searchsorted([40_000, 60_000], income)
    plans = np.array(["basic", "plus", "premium"])[levels]
    spent[n // 3] *= 25
    odd = 2 * n // 3
    orders[odd] = 0
    spent[odd] = 1500.0
    days = rng.randint(0, 2000, n)
    incomes = income.tolist()
    for row in np.flatnonzero(rng.uniform(size=n) <= 0.1):
        incomes[row] = None
    return {
        "client": [f"C{row:04}" for row in range(1, n + 1)],
        "town": rng.choice(["Aachen", "Bergen", "Cork", "Delft"], n).tolist(),
        "age": age.tolist(),
        "income": incomes,
        "plan": plans.tolist(),
        "orders": orders.tolist(),
        "spent": spent.tolist(),
        "joined": (np.datetime64("2020-01-01") + days).tolist(),
        "newsletter": (rng.uniform(size=n) < 0.4).tolist(),
    }
