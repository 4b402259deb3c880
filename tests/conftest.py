import gc
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from hypothesis import settings
from numpy.random import default_rng

from .processes import find_port, inherit

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OFFLINE = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

# All processes share what JAX compiles. `pytest --cache-clear` empties this folder.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache/d/jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Most programs run once, on few rows: XLA optimizes little, unless the environment asks
# for more.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

settings.register_profile("few", max_examples=5, deadline=None)
settings.register_profile("many", max_examples=12, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "few"))


@pytest.fixture(autouse=True, scope="module")
def quick_garbage_collection():
    """Leave what is there by now out of garbage collections.

    Keras runs one whenever it removes a variable, as in every quantisation, and it
    takes a third of a second to go through the objects of the backends.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def refuse_flush(monkeypatch):
    """Make the disk refuse what is flushed to it, with an error of this number."""

    def refuse(number):
        def fail(descriptor):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", fail)

    return refuse


@pytest.fixture(scope="session")
def donut_file():
    """The article's own data, where this checkout has it."""
    path = SHARED_DATA / "donut_corr2.npy"
    if not path.exists():
        pytest.skip(
            "the article's data file is not here: ../shared/data/donut_corr2.npy"
        )
    return path


@pytest.fixture
def rng():
    return default_rng(0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, where the test is: messages then hold the bare
    names of files.
    """
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def chromium():
    """A real browser."""
    api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        yield browser
        browser.close()


@pytest.fixture
def default_sigint():
    """Python's own handler of SIGINT, and the system's in processes that the test
    starts.

    A shell's background jobs and some of CI begin with SIGINT ignored.
    """
    with inherit(signal.SIGINT, signal.default_int_handler):
        yield


@pytest.fixture
def signal_number(name):
    """A signal by its name, which processes that the test starts do not ignore.

    Under nohup they would ignore SIGHUP.
    """
    number = getattr(signal, name)
    with inherit(number, signal.SIG_DFL):
        yield number


@pytest.fixture
def ctrl_c(default_sigint):
    """Presses Ctrl-C."""
    return lambda *_: os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="session")
def s3_server():
    """The address of a server of S3's on loopback."""
    pytest.importorskip("moto")
    port = str(find_port())
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        for _ in range(600):
            try:
                urllib.request.urlopen(address).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
        process.terminate()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """The file system of an object store with a bucket, which the
    environment leads to.
    """
    from pyarrow import fs

    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "none")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = fs.S3FileSystem(
        endpoint_override=s3_server, region="us-east-1", allow_bucket_creation=True
    )
    store.create_dir("bucket")
    return store
