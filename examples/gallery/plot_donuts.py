"""
Two rings, seen through two numbers
===================================

Four columns that nearly repeat each other, their code of two units, and what the code gives back.
"""

from keras_tied import datasets, experiment, plotting

import matplotlib.pyplot as plt

X, y = datasets.prepare(
    *datasets.make_correlated_donuts(random_state=0), random_state=0
)
result = experiment.run(
    X
)  # the autoencoder of the article "Autoencoder in Keras", 4-2-4
panels = {
    "y": y,
    "pca_mse": result.pca_train_mse,
    "figure": plt.figure(figsize=(8, 7.8)),
}
plotting.four_panels(X, result.code, result.reconstruction, result.history, **panels)
plt.show()
