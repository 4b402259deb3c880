"""
Rows, code, reconstruction and loss
===================================

Four panels of a fitted estimator in one call, coloured by a label that was not used in training.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_iris

from tied_tables import TiedAutoencoder
from tied_tables.plotting import AutoencoderDisplay

iris = load_iris(as_frame=True)
autoencoder = TiedAutoencoder(1, random_state=0).fit(iris.data)
kinds = iris.target_names[iris.target]
AutoencoderDisplay.from_estimator(
    autoencoder,
    iris.data,
    y=kinds,
    label_name="iris",
    figure=plt.figure(figsize=(8, 7.8)),
)
plt.show()
