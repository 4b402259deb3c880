"""
Other seeds, similar maps
=========================

Three fits that differ only in their seed: all start from PCA, so the maps are similar, and only
single points move.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine

from tied_tables import TiedAutoencoder

wine = load_wine()
plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
for seed, axis in enumerate(axes):
    settings = {"hidden_layer_sizes": 24, "early_stopping": False, "weight_decay": 1e-3}
    autoencoder = TiedAutoencoder(2, random_state=seed, **settings).fit(wine.data)
    code = autoencoder.transform(wine.data)
    for cultivar, (marker, colour) in enumerate(
        zip("os^", ("C0", "C1", "C3"), strict=True)
    ):
        name = f"cultivar {cultivar}"
        axis.scatter(
            *code[wine.target == cultivar].T, s=14, c=colour, marker=marker, label=name
        )
    kept = autoencoder.reconstruction_r2_
    axis.set(title=f"seed {seed}: keeps {kept:.1%}", xlabel="unit 1", ylabel="unit 2")
axes[0].legend(frameon=False, fontsize=8)
plt.show()
