import gc
import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from numpy.random import default_rng
from tests.processes import find_port, inherit

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROOT = Path(__file__).parent
SHARED_DATA = ROOT.parent / "shared" / "data"

# All processes share what JAX compiles. `pytest --cache-clear` empties this folder.
if os.access(ROOT, os.W_OK):
    os.environ.setdefault(
        "JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache/d/jax")
    )
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
        arguments = {"executable_path": CHROMIUM, "args": ["--disable-gpu"]}
        with playwright.chromium.launch(**arguments) as browser:
            yield browser


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
    moto = pytest.importorskip("moto.server")
    port = find_port()
    server = moto.ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


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
    store = fs.S3FileSystem(endpoint_override=s3_server, allow_bucket_creation=True)
    store.create_dir("bucket")
    return store
