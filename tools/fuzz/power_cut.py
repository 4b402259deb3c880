"""Cut the power while files are written, on a file system of its own in a loop device.

    python tools/fuzz/power_cut.py ext4 200        # or xfs; as root, on Linux

Each time an old file is written and flushed, a writer of `failing_io.py` replaces it,
and the file system is shut down as a power cut does it: what is not on the device is
lost. That happens at a random moment, or, every fourth time, right after the writer has
ended. Then it is mounted again, and the file is whole: the old one or the new one, or
the new one alone if the writer had ended. The last line has what a plain write without
`fsync` leaves, which shows that the cut is one.
"""

import contextlib
import fcntl
import functools
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

from failing_io import WRITERS

# isort: split
from keras_tied.training._checkpoint import Checkpoint

SHUTDOWN, WITHOUT_LOG = 0x8004587D, struct.pack("I", 2)  # of ext4 and XFS
LONG = b"new" * 400_000


def write_plainly(path: Path) -> None:
    with path.with_suffix(".part").open("wb") as file:
        file.write(LONG)
    path.with_suffix(".part").rename(path)


def read_plainly(path: Path) -> bool:
    assert path.read_bytes() == LONG
    return True


@functools.cache  # JAX computes nothing in a process that was forked
def make_checkpoint(path: Path) -> Checkpoint:
    """That of an untrained model with 200,000 numbers."""
    import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(100_000)])
    model.compile("sgd", "mse")
    return Checkpoint(path.parent, model, (), ())


def write_checkpoint(path: Path) -> None:
    make_checkpoint(path).save(1)


OTHERS = {
    "checkpoint.npz": (
        write_checkpoint,
        lambda path: make_checkpoint(path)._read()["epochs"],
    ),
    "plain": (write_plainly, read_plainly),
}


class Disk:
    """A file system in a file, mounted."""

    def __init__(self, folder: Path, kind: str) -> None:
        image, self.path = folder / "image", folder / "disk"
        self.path.mkdir()
        with image.open("wb") as file:
            file.truncate(400 * 2**20)
        subprocess.run([f"mkfs.{kind}", "-q", image], check=True)
        command = ["losetup", "--find", "--show", image]
        self.device = subprocess.check_output(command, text=True).strip()
        self.mount()

    def mount(self) -> None:
        subprocess.run(["mount", self.device, self.path], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", self.path], check=True)

    def cut(self) -> None:
        """Shut the file system down; nothing more gets to the device."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, WITHOUT_LOG)
        finally:
            os.close(folder)


def try_once(disk: Disk, file: str, write, read, new, delay: float | None) -> str:
    """What is there after a cut: "old", "new", or what is wrong."""
    path = disk.path / file
    path.write_bytes(b"old")
    subprocess.run(["sync", "-f", disk.path], check=True)
    writer = (
        os.fork()
    )  # a process of its own, since a failed writer can leave files open
    if writer == 0:
        with contextlib.suppress(OSError, ValueError, UserWarning):
            write(path)
            os._exit(0)
        os._exit(1)
    if delay is None:
        has_ended = os.waitpid(writer, 0)[1] == 0
    else:
        time.sleep(delay)
        has_ended = os.waitpid(writer, os.WNOHANG) == (writer, 0)
    disk.cut()
    with contextlib.suppress(ChildProcessError):  # it has ended before
        os.waitpid(writer, 0)
    disk.unmount()
    disk.mount()
    if not path.exists():
        return "none"
    if path.read_bytes() == b"old":
        return "old after the end" if has_ended else "old"
    try:
        return "new" if read(path) == new else "wrong"
    except Exception as error:
        return f"torn: {type(error).__name__}"


def main(kind: str, count: int) -> None:
    moments, total = random.Random(0), Counter[str]()
    warnings.simplefilter(
        "error", UserWarning
    )  # of a checkpoint that cannot be written
    with tempfile.TemporaryDirectory() as name:
        disk = Disk(Path(name), kind)
        try:
            for file, (write, read) in (WRITERS | OTHERS).items():
                for _ in range(2):  # the first one imports what it needs
                    begin = time.perf_counter()
                    write(disk.path / file)
                    seconds = time.perf_counter() - begin
                new, found = read(disk.path / file), Counter[str]()
                for number in range(count):
                    delay = (
                        None if number % 4 == 0 else moments.uniform(0, 1.2 * seconds)
                    )
                    found[try_once(disk, file, write, read, new, delay)] += 1
                print(
                    f"{kind}, {file}, {1000 * seconds:.0f} ms: {dict(found)}",
                    flush=True,
                )
                if file != "plain":
                    total += found
        finally:
            disk.unmount()
            subprocess.run(["losetup", "--detach", disk.device], check=True)
    assert set(total) <= {"old", "new"}, total
    print(
        "done",
        total.total(),
        f"with {found['old'] + found['new']} of {count} whole if plain",
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
