"""
Two rings, seen through two numbers
===================================

Four correlated columns, their code of two units, and their reconstruction.
"""

from keras_tied import article

import matplotlib.pyplot as plt

from tied_tables import plotting

X, y = article.prepare(*article.make_correlated_donuts(random_state=0), random_state=0)
result = article.run(X)  # the autoencoder of the article "Autoencoder in Keras", 4-2-4
display = plotting.AutoencoderDisplay(
    X,
    result.code,
    result.reconstruction,
    result.history,
    y=y,
    pca_error=result.pca_train_mse,
    plane="features",
)
display.plot(plt.figure(figsize=(8, 7.8)))
plt.show()
