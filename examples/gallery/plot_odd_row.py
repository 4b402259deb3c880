"""
Why a row is odd
================

A row in which each value alone is ordinary: its values, those that the other columns suggest, and
the share of each column in its outlier score.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from tied_tables import TiedAutoencoder

patients = load_diabetes(as_frame=True, scaled=False).data.drop(columns="sex")
row = patients.index[patients["bmi"].rank().eq(40).argmax()]  # a slim patient
patients.loc[row, "s5"] = patients["s5"].quantile(0.97)  # with high triglycerides,
patients.loc[row, "s3"] = patients["s3"].quantile(
    0.97
)  # and much of the good cholesterol
autoencoder = TiedAutoencoder(3, random_state=0).fit(patients)
reasons = autoencoder.explain(patients.loc[[row]])
rarity = autoencoder.rarity(patients.loc[[row]])[0]

names = patients.columns
given = ((patients.loc[row] - patients.mean()) / patients.std()).to_numpy()
likely = ((reasons.expected[0] - patients.mean()) / patients.std()).to_numpy()
plt.style.use("tableau-colorblind10")
figure, (left, right) = plt.subplots(
    1, 2, figsize=(8.6, 4), sharey=True, layout="constrained", width_ratios=[3, 2]
)
places = np.arange(len(names))
left.hlines(places, given, likely, color="0.7", zorder=0)
left.plot(given, places, "o", label="the row")
left.plot(likely, places, "D", fillstyle="none", label="likely from the others")
left.set(xlabel="standard deviations from the mean", yticks=places, yticklabels=names)
left.set(ylabel="column", title=f"one row in {rarity:.0f} is as odd")
left.legend(frameon=False)
right.barh(places, reasons.shares[0], color="C0")
right.set(xlabel="share of the outlier score", xlim=(0, 1))
plt.show()
