"""The numbers of Nadam, as `keras.optimizers.Nadam` has them but for its momentum's schedule.

Dozat, "Incorporating Nesterov momentum into Adam", 2016.
"""

from typing import Any

BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-7


def find_factors(step: Any) -> tuple[Any, Any, Any]:
    """Of averages of gradients, of the gradient, and of averages of squares; steps begin at 1."""
    of_average = BETA_1 / (1 - BETA_1 ** (step + 1))
    return of_average, (1 - BETA_1) / (1 - BETA_1**step), 1 / (1 - BETA_2**step)
