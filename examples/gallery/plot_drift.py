"""
What has drifted
================

How far the columns of a new table are from those of an old one: one was shifted, one was made
narrower, and one lost some of its values.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from tied_tables import TiedAutoencoder
from tied_tables.report import Report

tumours = load_breast_cancer(as_frame=True).data.iloc[:, :10]
shuffled = tumours.sample(frac=1, random_state=0)
old, new = shuffled.iloc[:300], shuffled.iloc[300:].copy()
new["mean radius"] += 0.5 * old["mean radius"].std()
texture = new["mean texture"]
new["mean texture"] = texture.mean() + 0.4 * (texture - texture.mean())
new.loc[np.random.default_rng(0).uniform(size=len(new)) < 0.1, "mean area"] = np.nan

autoencoder = TiedAutoencoder(3, random_state=0).fit(old)
report = Report.from_estimator(autoencoder, new, old=("old", old))
columns, score = report.find_drift()
drifts = [score, *columns]

plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(7.4, 4), layout="constrained")
places = range(len(drifts))
colours = ["C1" if drift.has_drifted else "C2" for drift in drifts]
axes.barh(places, [drift.moved for drift in drifts], color=colours)
axes.set_yticks(places, [drift.name for drift in drifts])
for place, drift in zip(places, drifts, strict=True):
    change = (
        f"missing {drift.missing}"
        if drift.by_missing
        else f"{drift.before} → {drift.now}"
    )
    axes.text(drift.moved + 0.005, place, change, va="center", fontsize=8)
axes.invert_yaxis()
axes.set(xlabel="share of the rows that lie elsewhere", ylabel="column", xlim=(0, 1.2))
axes.set(title="Orange: more than chance explains")
plt.show()
