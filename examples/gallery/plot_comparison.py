"""
Beside other methods
====================

The error on rows held out and the seconds of methods with as many components, with three seeds.
"""

from keras_tied import comparison, plotting

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import FastICA, KernelPCA

rng = np.random.default_rng(0)
X = np.tanh(rng.normal(size=(400, 2)) @ rng.normal(size=(2, 16))) @ rng.normal(size=(16, 8))
X += rng.normal(0, 0.1, X.shape)
others = {
    "ICA": FastICA(2, random_state=0),
    "KernelPCA": KernelPCA(2, kernel="rbf", fit_inverse_transform=True),
}
methods = comparison.compare(X, 2, others=others, n_seeds=3)
names = [method.name for method in methods]
errors, seconds = ([getattr(m, name) for m in methods] for name in ("relatives", "seconds"))
plotting.comparison(names, np.array(errors), seconds, figure=plt.figure(figsize=(8.6, 3.6)))
plt.show()
