"""Read files that were changed at random; a process of its own, for it may be killed by
them.

    python tools/fuzz/mutants.py KIND FIRST COUNT

prints the seed of each mutant before it is read. A kind is a format of tables,
`safetensors` or `keras`. What is no such file may end in a sentence, and in nothing
else; no code of it runs, no module is imported for it, no file is written, memory and
time have bounds, and what is read is what the file promised.
"""

import faulthandler
import io
import os
import random
import resource
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Mutate = Callable[[bytes, random.Random], bytes]

SECONDS = 60
GIBIBYTES = 3  # of addresses; three times as many with Keras, as JAX reserves them
FORBIDDEN = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "ctypes.",
)


def mutate(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        # Half of the changes are at the ends, where the files tell what they hold.
        ends = min(600, len(data))
        place = chance.choice(
            [
                chance.randrange(len(data)),
                chance.randrange(ends),
                len(data) - 1 - chance.randrange(ends),
            ]
        )
        span = chance.choice([1, 1, 1, 2, 4, 8, 40])
        match chance.randrange(6):
            case 0 | 1:
                data[place] = chance.randrange(256)
            case 2:
                data[place : place + span] = chance.randbytes(span)
            case 3:
                data[place : place + span] = (
                    chance.choice([b"\0", b"\xff", b"\x7f"]) * span
                )
            case 4:
                del data[place : place + span]
            case 5:
                data[place:place] = data[place : place + span]
        data = data or bytearray(b"\0")
    return bytes(data)


def mutate_member(
    content: bytes, chance: random.Random, changes: Mapping[str, Mutate] | None = None
) -> bytes:
    """Change a part of a zip archive under a right checksum, maybe as its ending asks
    for.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice([*parts])
    change = (changes or {}).get(Path(name).suffix, mutate)
    parts[name] = change(parts[name], chance)
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return changed.getvalue()


class Watch:
    """An audit of what a process does while it reads: nothing that no file may bring
    about.
    """

    def __init__(self, folder: str) -> None:
        self.folder, self.is_on = folder, False
        # Arrow looks for pytz, and no other, where a file names a time zone.
        self.packages = {"pytz", *(name.partition(".")[0] for name in sys.modules)}
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        harm = event.startswith(FORBIDDEN)
        match event:
            case "exec":  # of text, which is no module's
                harm = arguments[0].co_filename.startswith("<")
            case "import":
                harm = arguments[0].partition(".")[0] not in self.packages
            case "open":
                writes = {*str(arguments[1])} & {*"wax+"}
                harm = bool(writes) and not str(arguments[0]).startswith(self.folder)
        if harm:
            self.is_on = False
            traceback.print_stack()
            print(
                f"it did this: {event} {arguments!r:.200}", file=sys.stderr, flush=True
            )
            os._exit(3)  # no handler of errors shall hide it


def main(kind: str, first: int, count: int) -> None:
    faulthandler.enable()
    faulthandler.dump_traceback_later(SECONDS * 8, exit=True)
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory() as name:
        folder = tempfile.tempdir = str(Path(name).resolve())
        os.chdir(folder)
        if kind in ("safetensors", "keras"):
            from model_mutants import Models as Subject
        else:
            from table_mutants import Tables as Subject
        subject = Subject(kind, Path(folder))
        most = GIBIBYTES * 2**30 * (3 if kind == "keras" else 1)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        watch, n_refused = Watch(folder), 0
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for seed in range(first, first + count):
            print(seed, flush=True)
            subject.path.write_bytes(subject.make(random.Random(seed)))
            files = sorted(os.listdir(folder))
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            watch.is_on, sentence = True, ""
            try:
                subject.read()
            except subject.refusal as error:
                n_refused += 1
                sentence = str(error)
            finally:
                watch.is_on = False
            assert sentence.isprintable(), sentence
            assert sorted(os.listdir(folder)) == files, os.listdir(folder)
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        os.chdir("/")
    print("done", n_refused, used // 1024, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
