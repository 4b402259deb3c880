"""
L-BFGS against gradient descent
===============================

The article's network of 14 weights, by gradient descent with momentum and by L-BFGS, from the same
start.
"""

import keras_tied
from keras_tied import article

import keras
import matplotlib.pyplot as plt
import numpy as np

X, _ = article.prepare(*article.make_correlated_donuts(random_state=0), random_state=0)
train, _ = article.split(X)
kernel = np.random.default_rng(0).uniform(-1, 1, (4, 2))
settings = {"batch_size": len(train), "shuffle": False, "verbose": 0}

by_descent = article.build_model(kernel)
losses = keras_tied.training.fit(
    by_descent, train, train, epochs=3000, **settings
).history["loss"]
by_lbfgs = article.build_model(kernel)
by_lbfgs.compile("lbfgs", loss="mse")
fitted = keras_tied.training.fit(by_lbfgs, train, train, epochs=500, **settings)
iterations = fitted.history["loss"]
assert isinstance(by_lbfgs.optimizer, keras.optimizers.Optimizer)

plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
axes.plot(range(1, len(losses) + 1), losses, "--", label=f"SGD, {len(losses)} epochs")
axes.plot(
    range(1, len(iterations) + 1),
    iterations,
    label=f"L-BFGS, {len(iterations)} iterations",
)
for curve in (losses, iterations):
    axes.annotate(f"{curve[-1]:.2e}", (len(curve), curve[-1]), xytext=(-6, 8),
                  textcoords="offset points", ha="center")  # fmt: skip
axes.set(
    xlabel="epoch or iteration", ylabel="mean squared error", xscale="log", yscale="log"
)
axes.legend(frameon=False)
axes.grid(which="both", alpha=0.3)
plt.show()
