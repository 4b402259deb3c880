"""Tables in an object store: a server of S3's on loopback."""

import os
import pickle
import signal
import subprocess
import sys
import time

import pytest
from pyarrow import fs, parquet

from keras_tied.rows import Here, OutputFolder, load_transform, transform_table
from keras_tied.tables import open_table

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-m", "keras_tied"]


@pytest.fixture
def store(s3, folder):
    """The file system, with the rows in `s3://bucket/rows`."""
    for path in folder.glob("*.parquet"):
        parquet.write_table(
            parquet.read_table(path), f"bucket/rows/{path.name}", filesystem=s3
        )
    return s3


def run(*arguments):
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["encode", "score"])
def test_workers_read_from_and_write_to_a_store(kind, store, model, folder, tmp_path):
    run(kind, model, folder, "--id", "who", "-o", tmp_path / "alone.parquet")
    output = f"s3://bucket/{kind}"
    cluster = "--cluster", "local", "--workers", 2
    run(kind, model, "s3://bucket/rows", "--id", "who", "-o", output, *cluster)
    found = parquet.read_table(f"bucket/{kind}", filesystem=store)
    assert found.equals(parquet.read_table(tmp_path / "alone.parquet"))


def test_a_fit_by_address_is_that_of_the_files(store, model, folder, tmp_path):
    from keras_tied import TiedAutoencoder

    for data, name in (("s3://bucket/rows", "remote"), (folder, "local")):
        run(
            "fit",
            data,
            "--id",
            "who",
            "--epochs",
            2,
            "-o",
            tmp_path / f"{name}.safetensors",
        )
    models = [
        TiedAutoencoder.load(tmp_path / f"{name}.safetensors")
        for name in ("remote", "local")
    ]
    for one, other in zip(
        *(model.model_.get_weights() for model in models), strict=True
    ):
        assert (one == other).all()


def test_a_part_is_read_where_its_copy_is_not(store, folder):
    expected = [
        batch for part in open_table(folder).split() for batch in part.batches()
    ]
    parts = pickle.loads(pickle.dumps(open_table("s3://bucket/rows").split()))
    assert all(part.name.startswith("s3://bucket/rows/") for part in parts)
    assert [batch for part in parts for batch in part.batches()] == expected


def test_a_killed_writer_leaves_no_object_that_looks_whole(store, model, tmp_path):
    whole = OutputFolder("s3://bucket/whole")
    source = open_table("s3://bucket/rows")
    transform = load_transform(model)
    transform_table(Here(), transform.scan(source), transform, whole)
    sizes = {
        info.base_name: info.size
        for info in store.get_file_info(fs.FileSelector("bucket/whole"))
    }
    for attempt in (1, 3):
        output = f"s3://bucket/killed{attempt}"
        options = "--cluster", "local", "--workers", "1", "--quiet"
        process = subprocess.Popen(
            [
                *COMMAND,
                "encode",
                str(model),
                "s3://bucket/rows",
                "-o",
                output,
                *options,
            ],
            start_new_session=True,
        )
        deadline = time.monotonic() + 60
        selector = fs.FileSelector(f"bucket/killed{attempt}", allow_not_found=True)
        while (
            len(store.get_file_info(selector)) < 1 + attempt and process.poll() is None
        ):
            assert time.monotonic() < deadline
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for info in store.get_file_info(selector):
            if info.base_name.endswith(".parquet"):
                assert info.size == sizes[info.base_name]
        run("encode", model, "s3://bucket/rows", "-o", output, "--cluster", "local")
        found = parquet.read_table(f"bucket/killed{attempt}", filesystem=store)
        assert found.equals(parquet.read_table("bucket/whole", filesystem=store))
