import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import is_hypothesis_test, settings

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
FAST_XLA = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


settings.register_profile("quick", max_examples=5, deadline=None)
settings.register_profile("full", max_examples=20, deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples a property has, and how JAX compiles, in which most time goes.

    All processes share what is compiled. `pytest --cache-clear` empties the folder.
    """
    full = config.option.markexpr.startswith("full")
    settings.load_profile("full" if full else "quick")
    if not full and os.environ["KERAS_BACKEND"] == "jax":
        compile_fast()
    if hasattr(config, "cache"):  # not with -p no:cacheprovider
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def compile_fast() -> None:
    """Have XLA optimize little: a program of a quick test runs once, on few rows."""
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    # XLA ends the process at a flag that it does not know.
    if version("jaxlib").startswith(("0.7.", "0.8.", "0.9.", "0.10.")):
        os.environ.setdefault("XLA_FLAGS", FAST_XLA)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Leave tests that stand together to one worker, for their fixtures and what JAX compiles."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.option.dist == "load" else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark parameters `full` that `quick` does not name, and `slow` that `brief` does not name.

    Properties are among the full tests too, with more examples.
    """
    for name, rest in (("quick", "full"), ("brief", "slow")):
        mark = item.get_closest_marker(name)
        if mark and not any(fnmatchcase(item.callspec.id, pattern) for pattern in mark.args):
            item.add_marker(rest)
    if item.config.option.markexpr.startswith("full") and is_hypothesis_test(
        getattr(item, "obj", None)
    ):
        item.add_marker("full")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked `full` to `-m full`, unless one is named on the command line."""
    if config.option.markexpr or any("::" in argument for argument in config.args):
        return
    full = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=full)
    items[:] = [item for item in items if not item.get_closest_marker("full")]


@pytest.fixture(autouse=True, scope="module")
def quick_garbage_collection() -> None:
    """Leave what is there by now out of garbage collections.

    Keras runs one whenever it removes a variable, as in every quantisation, and it takes a third of
    a second to go through the objects of the backends.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def donut_file() -> Path:
    """The article's own data, where this checkout has it."""
    path = SHARED_DATA / "donut_corr2.npy"
    if not path.exists():
        pytest.skip("the article's data file is not here: ../shared/data/donut_corr2.npy")
    return path


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A real browser."""
    api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        yield browser
        browser.close()


@pytest.fixture
def ctrl_c():
    """Presses Ctrl-C, with Python's own way with it, whatever runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda *_: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a server of S3's on loopback."""
    pytest.importorskip("moto")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
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
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The file system of an object store with a bucket, which the environment leads to."""
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
