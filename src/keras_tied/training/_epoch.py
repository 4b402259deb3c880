"""One epoch of one batch, on the backends whose steps work on the model's variables themselves."""

from typing import Any

import keras


def one_epoch(model: keras.Model, batches: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Train on the first batch and evaluate the second, if there is one; give what was logged."""
    train, *validation = batches
    model.reset_metrics()
    logs = dict(model.train_step(train))
    for batch in validation:
        model.reset_metrics()
        logs |= {f"val_{name}": value for name, value in model.test_step(batch).items()}
    return logs
