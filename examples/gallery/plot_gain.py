"""
What a gain is worth
====================

The error while training, of an untied network, of a tied one, and of a tied one with a gain for
each unit: one extra parameter per unit makes up for the missing kernel.
"""

import keras_tied

import keras
import matplotlib.pyplot as plt
from keras.layers import Dense
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

X = StandardScaler().fit_transform(load_wine().data).astype("float32")


def train(name):
    """Train 13-2-13 with a tanh code, and return its losses and its number of weights."""
    keras.utils.set_random_seed(0)
    encoder, inputs = Dense(2, "tanh"), keras.Input((13,))
    decoder = (
        Dense(13) if name == "untied" else keras_tied.tie(encoder, gain=name != "tied")
    )
    model = keras.Model(inputs, decoder(encoder(inputs)))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    settings = {"batch_size": len(X), "epochs": 1500, "verbose": 0}
    losses = keras_tied.training.fit(model, X, X, **settings).history["loss"]
    return losses, model.count_params()


plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
styles = {"tied": "C0-", "tied, with a gain": "C1--", "untied": "C3:"}
for name, style in styles.items():
    losses, n_weights = train(name)
    axes.plot(losses, style, linewidth=2, label=f"{name}: {n_weights} weights")
axes.set(xlabel="epoch", ylabel="mean squared error", xscale="log")
axes.legend(frameon=False)
axes.grid(alpha=0.3)
plt.show()
