"""
Deep, and tied layer by layer
=============================

The held-out error while a tied 64-48-32-8 autoencoder trains, and its reconstructions of digits
compared with those of PCA.
"""

import keras_tied

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras.layers import Dense
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

X = (load_digits().data / 16).astype("float32")
train, test = X[:1200], X[1200:]

keras.utils.set_random_seed(0)
layers = [Dense(48, "silu"), Dense(32, "silu"), Dense(8)]
encoder = keras.Sequential([keras.Input((64,)), *layers])
decoder = keras_tied.mirror(encoder, output_activation="sigmoid")
autoencoder = keras_tied.Autoencoder(encoder, decoder)
autoencoder.compile(keras.optimizers.Adam(0.01))
settings = {"batch_size": len(train), "epochs": 250, "verbose": 0}
losses = autoencoder.fit(train, validation_data=test, **settings).history["val_loss"]
pca = PCA(8).fit(train)
by_pca = pca.inverse_transform(pca.transform(test))

plt.style.use("tableau-colorblind10")
figure = plt.figure(figsize=(9, 3.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1, 1.2])
axes = left.subplots()
axes.plot(range(1, len(losses) + 1), losses, label="tied autoencoder")
axes.axhline(
    np.mean((by_pca - test) ** 2), color="C1", linestyle="--", label="PCA, 8 components"
)
axes.set(xlabel="epoch", ylabel="squared error of digits held out", xscale="log")
axes.legend(frameon=False)
rows = {"given": test, "tied": autoencoder.predict(test, verbose=0), "PCA": by_pca}
for line, (name, pictures) in zip(right.subplots(3, 6), rows.items(), strict=True):
    for axis, picture in zip(line, pictures[:6], strict=True):
        axis.imshow(picture.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)
plt.show()
