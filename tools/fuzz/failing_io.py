"""Write files while the n-th call that writes fails, for every n; a process with the
shim first.

    LD_PRELOAD=failing_io.so python tools/fuzz/failing_io.py

prints, for each writer, how many calls it makes, and ends with a count. After each
failure the file is the old one or the new one, whole; nothing is left beside it; and
there is one sentence. What is written is on the disk before it gets its name, and the
name before the writer ends.
"""

import ctypes
import re
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from sklearn.datasets import load_iris

import tied_tables
from tied_tables.io import open_table, write_table

X = load_iris(return_X_y=True)[0]
ROWS = pa.record_batch(
    {"name": [f"row {i}" for i in range(9000)], "x": np.arange(9000.0)}
)
ESTIMATOR = tied_tables.TiedAutoencoder(1, max_iter=3, random_state=0).fit(X)


def train(path: Path) -> None:
    import keras_tied  # noqa: F401  settles the backend before Keras is imported

    # isort: split
    import keras

    from keras_tied.training._checkpoint import Checkpoint
    from keras_tied.training._data import pack_parts

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.compile("adam", "mse")
    model.fit(X, X, verbose=0)
    parts = pack_parts((X, X, None, None, None), (0.0, None, None))
    checkpoint = Checkpoint(path.parent, model, parts, {})
    assert checkpoint.path == path
    checkpoint.save(1)


WRITERS = {
    "model.safetensors": (
        ESTIMATOR.save,
        lambda path: tied_tables.load(path).transform(X).sum(),
    ),
    **{
        f"rows.{ending}": (
            lambda path: write_table(path, [ROWS]),
            lambda path: sum(batch.num_rows for batch in open_table(path).batches()),
        )
        for ending in ("csv", "tsv.gz", "parquet", "arrow", "feather")
    },
    "rows.npy": (
        lambda path: write_table(path, [ROWS.select(["x"])]),
        lambda path: np.load(path).sum(),
    ),
    "checkpoint.npz": (train, lambda path: sorted(np.load(path).files)),
}


def main() -> None:
    shim = ctypes.CDLL(None)
    shim.list_calls.restype = ctypes.c_char_p
    total, sentences = 0, set[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for file, (write, read) in WRITERS.items():
            path = folder / file
            write(path)  # imports what it needs
            new = read(path)
            shim.fail_at(bytes(folder), 0)
            write(path)
            calls = shim.list_calls().decode()
            shim.fail_at(b"", 0)
            n_calls = len(calls)
            # Whatever reaches the disk before a power cut, the name stands for whole
            # content.
            assert re.fullmatch("[owc]*w[oc]*s[oc]*r[oc]*s[oc]*", calls), (file, calls)
            n_failed = 0
            for n in range(1, n_calls + 1):
                for old in (b"old", None):
                    path.unlink(missing_ok=True)
                    if old:
                        path.write_bytes(old)
                    shim.fail_at(bytes(folder), n)
                    try:
                        write(path)
                    except (OSError, ValueError) as error:
                        n_failed += 1
                        sentences.add(str(error))
                    finally:
                        shim.fail_at(b"", 0)
                    left = [each.name for each in folder.iterdir() if each != path]
                    assert not left, (file, n, left)
                    content = path.read_bytes() if path.exists() else None
                    assert content == old or read(path) == new, (file, n, old, content)
            path.unlink(missing_ok=True)
            total += n_calls
            print(
                f"{file}: {n_calls} calls, {n_failed} of {2 * n_calls} failures raise",
                flush=True,
            )
    assert not any("\n" in sentence for sentence in sentences)
    print("done", total)


if __name__ == "__main__":
    main()
