"""
How do I go from a million rows to a cluster?
=============================================

A model is a few kilobytes, and each row is encoded by itself. So one machine goes through a
million rows in seconds, and many machines through many millions. This tutorial trains on a folder
of files that is read in batches, encodes it on one machine and then on workers of Dask, and checks
that the codes are the same. It takes 200,000 rows, to be quick.
"""

# %%
# A folder of Parquet files
# -------------------------
# Four files of 50,000 rows. They are twelve readings of a machine, which follow from three hidden
# numbers.

import subprocess
import tempfile
import time
from pathlib import Path

import dask.array as da
import numpy as np
import pyarrow as pa
from pyarrow import dataset, parquet

from tied_tables import load

folder = Path(tempfile.mkdtemp())
(folder / "rows").mkdir()
rng = np.random.default_rng(0)
down, up = rng.normal(size=(3, 24)), rng.normal(size=(24, 12))
for part in range(4):
    readings = np.tanh(rng.normal(size=(50_000, 3)) @ down) @ up
    readings += rng.normal(0, 0.1, readings.shape)
    columns = {f"sensor{place}": values for place, values in enumerate(readings.T)}
    columns = {"reading": np.arange(50_000) + 50_000 * part, **columns}
    parquet.write_table(pa.table(columns), folder / "rows" / f"part{part}.parquet")


def run(command):
    """Run a command in the folder, and print it, its last lines and its seconds."""
    start = time.perf_counter()
    done = subprocess.run(command.split(), cwd=folder, text=True, capture_output=True)
    print(f"$ {command}   # {time.perf_counter() - start:.1f} s")
    print(*map(str.rstrip, done.stdout.splitlines()), "", sep="\n")
    assert done.returncode == 0, done.stderr


# %%
# Train on one machine
# --------------------
# The command goes through all rows for their scale and for PCA, and trains the network on batches.
# Above 200,000 rows it trains on a random sample: more steps on a sample are better than fewer on
# all rows. ``--epochs 1`` is for this page; leave it out.

run("tied-tables fit rows/ -o model.safetensors --components 3 --id reading --epochs 1")

# %%
# Encode on one machine
# ---------------------

run("tied-tables encode model.safetensors rows/ -o codes.parquet")

# %%
# Encode on workers
# -----------------
# ``--cluster local`` starts workers on this machine. Each writes files of its own, so the output is
# a folder. If a worker fails, another one repeats its part. If the command fails, start it again:
# it continues with the unfinished parts.

run("tied-tables encode model.safetensors rows/ -o codes/ --cluster local --workers 2")

# %%
# They are the same rows in the same order, and the same codes up to rounding: a worker multiplies
# other batches, with fewer threads.

alone = parquet.read_table(folder / "codes.parquet")
files = sorted((folder / "codes").rglob("*.parquet"))
together = dataset.dataset(files).to_table()
print([file.name for file in files])
assert together["reading"].equals(alone["reading"])
for unit in ("code0", "code1", "code2"):
    assert np.allclose(together[unit], alone[unit], atol=1e-4)

# %%
# On other machines
# -----------------
# Give the address of a scheduler instead of ``local``, and addresses that all workers can read and
# write. Nothing else changes.
#
# .. code-block:: sh
#
#     dask scheduler                       # on one machine; prints its address
#     dask worker tcp://10.0.0.1:8786      # on each of the others
#     tied-tables encode model.safetensors s3://bucket/rows/ -o s3://bucket/codes/ \
#       --cluster tcp://10.0.0.1:8786
#
# In Python
# ---------
# Dask calls a method for each block of an array, or for each partition of a frame with
# ``map_partitions``: nothing is computed before a result is asked for.

from tied_tables import TiedAutoencoder

autoencoder = TiedAutoencoder.load(folder / "model.safetensors")
table = dataset.dataset(folder / "rows").to_table().drop_columns("reading")
readings = da.from_array(np.column_stack(table.columns), chunks=(50_000, 12))
chunks = readings.chunks[0], (autoencoder.n_components_,)
codes = readings.map_blocks(autoencoder.transform, chunks=chunks, dtype=readings.dtype)
print(codes)
print("spread of the code:", codes.std(axis=0).compute().round(2))

# %%
# An engine that is neither needs no more than a function of arrays: ``tied_tables.load`` imports
# no Keras, and what it gives can be pickled and sent to any worker.

fitted = load(folder / "model.safetensors")
given = np.column_stack(
    [alone[name] for name in alone.column_names if name != "reading"]
)
assert np.allclose(fitted.transform(np.column_stack(table.columns)), given, atol=1e-4)

# %%
# Read next
# ---------
# - :ref:`sphx_glr_tutorials_plot_09_ship.py` encodes where there is no Python at all.
# - :ref:`sphx_glr_tutorials_plot_07_every_night.py` scores a new file every night.
