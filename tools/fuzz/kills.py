"""Kill commands and trainings at random moments, run them again, and compare with
undisturbed runs.

    python tools/fuzz/kills.py fit encode score report --rows 2000000 --kills 100
    python tools/fuzz/kills.py train --kills 100 --images FOLDER
    python tools/fuzz/kills.py cost --images FOLDER

A command is killed by SIGKILL at a moment drawn from the time that it takes; its output
is then the one before it, or the new one, whole. It is run again to its end after each
kill, or each `--again` kills: the output is that of an undisturbed run, and nothing is
left beside it or in TMPDIR. What `fit` writes when it has trained, and not measured the
errors yet, is a model with fewer notes. `train` kills a deep autoencoder's training
with checkpoints, and resumes it after each kill: it ends in bitwise the same weights,
optimizer and history. `cost` prints what checkpoints take of a training. `--images`
names the folder of MNIST's files; without it, images are drawn at random.
"""

import argparse
import gzip
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COMMANDS = {
    "fit": ["fit", "rows.parquet", "-o", "out/new.safetensors", "--epochs", "30"],
    "encode": [
        "encode",
        "model.safetensors",
        "rows.parquet",
        "-o",
        "out/codes.parquet",
    ],
    "score": ["score", "model.safetensors", "rows.parquet", "-o", "out/scores.csv"],
    "report": ["report", "model.safetensors", "rows.parquet", "-o", "out/report.html"],
}
N_IMAGES = 1280
OLD = b"the output of an earlier run"
TIMES = ("trained", "seconds", "streamed")  # notes of a model that tell of time


def save_rows(path: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    code = rng.normal(size=(n, 2))
    numbers = code @ rng.normal(size=(2, 5)) + 0.2 * rng.normal(size=(n, 5))
    columns = {f"x{i}": numbers[:, i].round(4) for i in range(5)}
    columns |= {"colour": np.array(["red", "green", "blue"])[rng.integers(3, size=n)]}
    columns |= {
        "day": (np.datetime64("2020-01-01") + rng.integers(999, size=n)).astype("M8[D]")
    }
    columns |= {"yes": code[:, 0] > 0}
    pq.write_table(pa.table(columns), path)


def start(arguments: list[str], folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    return subprocess.Popen(
        arguments, cwd=folder, env=environment, stdout=subprocess.DEVNULL
    )


def run(arguments: list[str], folder: Path) -> float:
    """Run it to the end, and return the seconds that it takes."""
    begin = time.monotonic()
    if code := start(arguments, folder).wait():
        raise SystemExit(f"{arguments} ended with {code}")
    return time.monotonic() - begin


def kill(seconds: float, arguments: list[str], folder: Path) -> bool:
    """Kill it after so many seconds, and return whether it had not ended before."""
    process = start(arguments, folder)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def read_output(path: Path) -> Any:
    """The bytes of an output; of a model file without what tells of time."""
    content = path.read_bytes()
    if path.suffix != ".safetensors" or content == OLD:
        return content
    (length,) = struct.unpack("<Q", content[:8])
    document = json.loads(
        json.loads(content[8 : 8 + length])["__metadata__"]["tied_tables"]
    )
    notes = {k: v for k, v in document["notes"].items() if k not in TIMES}
    return document["settings"], notes, content[8 + length :]


def is_unmeasured(found: Any, whole: Any) -> bool:
    """Whether it is the model, with some of its notes."""
    if not isinstance(found, tuple):
        return False
    (settings, notes, arrays), (*expected, expected_arrays) = found, whole
    return [settings, expected[1] | notes, arrays] == [*expected, expected_arrays]


def kill_command(
    name: str, folder: Path, n_kills: int, n_again: int, chance: random.Random
) -> None:
    arguments = [sys.executable, "-m", "tied_tables", *COMMANDS[name], "--quiet"]
    out = folder / COMMANDS[name][COMMANDS[name].index("-o") + 1]
    seconds = run(arguments, folder)
    whole, n_killed, n_parts, n_again_run, n_new, n = read_output(out), 0, 0, 0, 0, 0
    while n_killed < n_kills:
        n += 1
        out.unlink(missing_ok=True)
        old = OLD if n % 2 else None
        if old:
            out.write_bytes(old)
        n_killed += kill(chance.uniform(0, seconds), arguments, folder)
        found = read_output(out) if out.exists() else None
        is_new = found == whole or is_unmeasured(found, whole)
        assert found == old or is_new, f"{out} is torn"
        n_new += is_new
        n_parts += len(os.listdir(out.parent)) > out.exists()
        if n % n_again == 0 or n_killed == n_kills:
            seconds = run(arguments, folder)  # which depends on what else runs
            n_again_run += 1
            print(name, n_killed, "kills", n_again_run, "ended", flush=True)
            assert read_output(out) == whole, (
                "another output than that of an undisturbed run"
            )
            assert os.listdir(out.parent) == [out.name], os.listdir(out.parent)
    left = [
        each
        for each in (folder / "tmp").iterdir()
        if each.name.startswith("tied-tables")
    ]
    out.unlink()
    print(
        f"{name}: {seconds:.1f} s; {n_killed} kills, {n_parts} left a part file,"
        f" {n_new} outputs were new, the others as before; {n_again_run} runs to the"
        " end gave what an undisturbed one gives, with nothing beside it; left in"
        f" TMPDIR: {len(left)}",
        flush=True,
    )


def read_images(folder: str, n: int) -> Any:
    if not folder:
        return np.random.default_rng(0).random((n, 784), "f4")
    with gzip.open(Path(folder, "train-images-idx3-ubyte.gz")) as file:
        content = file.read(16 + 784 * n)
    return np.frombuffer(content, np.uint8, offset=16).reshape(n, 784) / np.float32(255)


def train(images: str, out: Path, checkpoint: Path, pace: float | None) -> None:
    """Train a deep autoencoder, and write its variables and its history."""
    import keras_tied

    # isort: split
    import keras

    from keras_tied.training import _checkpoint, _loop, fit

    if pace is not None:
        _checkpoint.SECONDS = _loop.SECONDS_BETWEEN_VISITS = pace
        _checkpoint.SHARE = 1
    save, seconds = _checkpoint.Checkpoint.save, []

    def save_and_time(*arguments: Any) -> None:
        begin = time.perf_counter()
        save(*arguments)
        seconds.append(time.perf_counter() - begin)

    _checkpoint.Checkpoint.save = save_and_time
    keras.utils.set_random_seed(0)
    rows, is_jax = read_images(images, N_IMAGES), keras.backend.backend() == "jax"
    encoder = keras.Sequential([keras.Input((784,))])
    for units in (1000, 500, 250):
        encoder.add(keras.layers.Dense(units, "silu"))
    encoder.add(keras.layers.Dense(30))
    model = keras_tied.Autoencoder(encoder)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, 1000)
    model.compile(keras.optimizers.Adam(rate), "mse")
    begin = time.perf_counter()
    # Other backends take epochs together, and keep checkpoints, where all rows are one
    # batch.
    history = fit(
        model,
        rows,
        rows,
        batch_size=256 if is_jax else len(rows),
        epochs=12 if pace is not None else 200,
        validation_split=0.1,
        verbose=0,
        checkpoint=checkpoint,
    )
    whole = time.perf_counter() - begin
    if pace is None:
        print(
            f"{len(seconds)} checkpoints of {1000 * np.median(seconds):.0f} ms in"
            f" {whole:.1f} s: {100 * sum(seconds) / whole:.2f} %"
        )
    values = [*model.variables, *model.optimizer.variables]
    arrays = [keras.ops.convert_to_numpy(value) for value in values]
    np.savez(out, *arrays, *map(np.asarray, history.history.values()), history.epoch)


def read_cpu_seconds(number: int) -> float:
    """What a process has taken: its wall time depends on what else runs."""
    numbers = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


def kill_training(
    folder: Path, images: str, n_kills: int, chance: random.Random
) -> None:
    import_module("keras_tied")
    import_module(
        "keras"
    )  # once, as it takes longer than the training; a backend starts later
    import_module("keras_tied.training")
    kept, out = folder / "kept", folder / "out" / "trained.npz"

    def start() -> int:
        """The number of a process that trains."""
        if number := os.fork():
            return number
        code = 1
        try:
            train(images, out, kept, 0.2)
            code = 0
        finally:
            os._exit(code)

    for _ in range(
        2
    ):  # the second finds what the first has compiled, as all others will
        out.unlink(missing_ok=True)
        _, code, usage = os.wait4(start(), 0)
        assert code == 0
    seconds = usage.ru_utime + usage.ru_stime
    with np.load(out) as file:
        whole = {name: file[name].tobytes() for name in file.files}
    n_killed, n_resumed, n_ended = 0, 0, 0
    while n_killed < n_kills or not out.exists():
        out.unlink(missing_ok=True)
        n_resumed += any(kept.iterdir())
        number = start()
        limit = chance.uniform(0, seconds) if n_killed < n_kills else 3600.0
        while (ended := os.waitpid(number, os.WNOHANG))[0] == 0:
            if read_cpu_seconds(number) > limit:
                os.kill(number, signal.SIGKILL)
                n_killed += os.waitpid(number, 0)[1] == signal.SIGKILL
                break
            time.sleep(0.01)
        else:
            assert ended[1] == 0, ended
            with np.load(out) as file:
                found = {name: file[name].tobytes() for name in file.files}
            assert found == whole, "other numbers than those of an undisturbed run"
            assert not list(kept.iterdir()), "a checkpoint is left"
            n_ended += 1
            print(n_killed, "kills", n_resumed, "resumed", n_ended, "ended", flush=True)
    print(
        f"train: {seconds:.1f} s of CPU; {n_killed} kills, {n_resumed} starts from a"
        f" checkpoint, {n_ended} runs to the end, equal in {len(whole)} arrays to an"
        " undisturbed one, with no checkpoint left",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="+", choices=[*COMMANDS, "train", "cost"])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--again", type=int, default=1)
    parser.add_argument("--images", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, chance = Path(name).resolve(), random.Random(0)
        (folder / "out").mkdir()
        (folder / "tmp").mkdir()
        if set(given.what) & {*COMMANDS}:
            save_rows(folder / "rows.parquet", given.rows)
            model = folder / "model.safetensors"
            fit = [sys.executable, "-m", "tied_tables", *COMMANDS["fit"], "--quiet"]
            run(fit, folder)
            (folder / "out" / "new.safetensors").rename(model)
        for what in given.what:
            if what == "train":
                kill_training(folder, given.images, given.kills, chance)
            elif what == "cost":
                train(given.images, folder / "out.npz", folder / "kept", None)
            else:
                kill_command(what, folder, given.kills, given.again, chance)


if __name__ == "__main__":
    main()
