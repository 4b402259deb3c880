"""
How do I ship a model to where Keras is not?
============================================

A fitted estimator is a file of arrays. This tutorial takes one model to three places: a Python
process with NumPy alone, any program that runs ONNX, and a page in the browser. It checks that all
of them give the same codes.
"""

# %%
# A model to ship
# ---------------

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from safetensors import safe_open
from sklearn.datasets import load_wine

from tied_tables import TiedAutoencoder

folder = Path(tempfile.mkdtemp())
wine = load_wine()
autoencoder = TiedAutoencoder(2, random_state=0).fit(wine.data)
codes = autoencoder.transform(wine.data)

# %%
# A file of arrays
# ----------------
# ``save`` writes one file of safetensors: arrays under their names, and the settings as JSON. It
# holds no code and no pickle, so it is safe to load from others, and any language can read it.

path = folder / "wine.safetensors"
autoencoder.save(path)
print(f"{path.stat().st_size:,} bytes")
with safe_open(path, "numpy") as file:
    names = sorted(file.keys())
    for name in names[:8]:
        print(f"{name:32} {file.get_slice(name).get_shape()}")
print(f"... and {len(names) - 8} more")

# %%
# Python without Keras
# --------------------
# ``tied_tables.load`` gives the fitted value: it encodes, decodes, fills in and scores with NumPy
# alone. A new process shows which modules it needs.

np.save(folder / "rows.npy", wine.data)
program = """
import sys, json
import numpy as np
import tied_tables

fitted = tied_tables.load("wine.safetensors")
rows = np.load("rows.npy")
np.save("codes.npy", fitted.transform(rows))
heavy = {"keras", "jax", "tensorflow", "torch", "sklearn", "scipy"}
print(json.dumps(sorted(heavy & set(sys.modules))))
"""
done = subprocess.run(
    [sys.executable, "-c", program],
    cwd=folder,
    text=True,
    capture_output=True,
    check=True,
)
print("heavy modules that were imported:", done.stdout)
assert json.loads(done.stdout) == []
assert np.allclose(np.load(folder / "codes.npy"), codes, atol=1e-6)

# %%
# ONNX
# ----
# ``export`` writes one graph from a row to its code, which also fills in missing values and scales
# columns. The program that runs it needs no preprocessing.

autoencoder.export(folder / "wine.onnx")
session = onnxruntime.InferenceSession(folder / "wine.onnx")
print([(given.name, given.shape) for given in session.get_inputs()])
rows = wine.data.astype("float32")
rows[0, 3] = np.nan  # a gap
[from_onnx] = session.run(["code"], {"X": rows})

assert np.allclose(from_onnx, autoencoder.transform(rows), atol=1e-4)

# %%
# ``part="decoder"`` and ``part="reconstruction"`` write the other ways. The command does the same:
# ``tied-tables export wine.safetensors -o wine.onnx``.
#
# In the browser
# --------------
# ONNX Runtime Web runs the same file in a page, on the reader's machine: no row leaves it.

page = """<!doctype html>
<title>Which wine is this?</title>
<p>Code: <output id="code">loading</output></p>
<script type="module">
  import * as ort from "https://cdn.jsdelivr.net/npm/onnxruntime-web@1/dist/ort.min.mjs";
  const session = await ort.InferenceSession.create("wine.onnx");
  const row = Float32Array.from(ROW);
  const X = new ort.Tensor("float32", row, [1, row.length]);
  const { code } = await session.run({ X });
  document.getElementById("code").value = Array.from(code.data, (x) => x.toFixed(3)).join(", ");
</script>
"""
(folder / "index.html").write_text(page.replace("ROW", str(wine.data[0].tolist())))
print(f"the page has to show {codes[0].round(3).tolist()}")

# %%
# Serve the folder and look at it. A page that is opened as a file may not fetch the model.
#
# .. code-block:: sh
#
#     python -m http.server --directory FOLDER
#
# Which one to use
# ----------------
#
# ============================  ==============================================================
# where                         what
# ============================  ==============================================================
# Python, all methods           ``TiedAutoencoder.load``
# Python, small and fast start  ``tied_tables.load``: encodes, decodes, fills in, scores
# C++, C#, Java, JavaScript     ONNX: encodes, decodes or reconstructs
# another language, no runtime  the arrays in the file of safetensors
# ============================  ==============================================================
#
# Read next
# ---------
# - :ref:`sphx_glr_tutorials_plot_08_cluster.py` sends the same value to many machines.
# - :ref:`sphx_glr_tutorials_plot_07_every_night.py` scores a file every night.
