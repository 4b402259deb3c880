"""One estimator in many threads and processes; the numbers are those of a single thread."""

import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import keras
import numpy as np
import pytest
from keras import layers
from threadpoolctl import threadpool_info

from keras_tied import TiedAutoencoder

pytestmark = pytest.mark.full
METHODS = "transform reconstruct reconstruction_error score_samples predict".split()


@pytest.fixture(scope="module")
def network(digits) -> TiedAutoencoder:
    """A network with a hidden layer; tests must not change it."""
    settings = {"hidden_layer_sizes": 16, "sparsity": 1e-6, "max_iter": 2, "random_state": 0}
    return TiedAutoencoder(4, **settings).fit(digits[:300])


@pytest.fixture(autouse=True)
def quick_switches():
    """Let threads wait less than 5 ms for the lock each time that NumPy gives it back."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def blas_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info()]


def many(rows: np.ndarray) -> np.ndarray:
    """Rows of several blocks."""
    return np.resize(rows, (30_000, rows.shape[1]))


@pytest.mark.parametrize("method", METHODS)
def test_eight_threads_get_the_answers_of_one(method, network, digits):
    call, before = getattr(network, method), blas_threads()
    parts = [digits[i : i + 1 + i % 5] for i in range(40)]
    expected = [call(part) for part in parts]
    large, of_large = many(digits), call(many(digits))

    def work(number: int) -> None:
        for turn in range(1_000):
            place = (number + turn) % len(parts)
            np.testing.assert_array_equal(call(parts[place]), expected[place])
        np.testing.assert_array_equal(call(large), of_large)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert blas_threads() == before


def test_inverse_transform_and_score_work_in_threads(network, digits):
    codes = network.transform(digits)
    rows, score = network.inverse_transform(codes), network.score(digits)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: network.inverse_transform(codes), range(100)):
            np.testing.assert_array_equal(found, rows)
        assert set(pool.map(lambda _: network.score(digits), range(100))) == {score}


def test_a_reader_beside_a_refit_gets_the_old_codes_or_the_new_ones(digits):
    estimator = TiedAutoencoder(2, random_state=0).fit(digits[:40])
    known = [estimator.transform(digits)]
    done, found = threading.Event(), []

    def read() -> None:
        while not done.is_set():
            found.append(estimator.transform(digits))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for count in (45, 49):
            known.append(estimator.fit(digits[:count]).transform(digits))
    finally:
        done.set()
        reader.join()
    assert found
    for codes in found:
        assert any(np.array_equal(codes, each) for each in known)


def test_threads_agree_on_an_encoder_of_ones_own(digits):
    encoder = keras.Sequential([keras.Input((64,)), layers.Dense(5, "relu"), layers.Dense(3)])
    estimator = TiedAutoencoder(encoder=encoder, max_iter=1, random_state=0).fit(digits[:100])
    copy = pickle.loads(pickle.dumps(estimator))  # which has compiled nothing yet
    sizes = (1, 300, 5, 1000, 20, 256, 257, 3)
    expected = [estimator.reconstruct(digits[:size]) for size in sizes]

    def work(number: int) -> None:
        for turn in range(100):
            place = (number + turn) % len(sizes)
            np.testing.assert_allclose(
                copy.reconstruct(digits[: sizes[place]]), expected[place], atol=1e-5
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


FORKS = """
import os, pickle, signal, sys, threading, time
import numpy as np
from keras_tied import TiedAutoencoder
rows = np.random.default_rng(0).normal(size=(60, 5))
rows[:, 4] = rows[:, 0] ** 2
estimator = TiedAutoencoder(2, max_iter=2, random_state=0, sparsity=1e-6).fit(rows)
large = np.resize(rows, (400_000, 5))
expected, of_large = estimator.transform(rows), estimator.transform(large)
reader = threading.Thread(target=lambda: [estimator.transform(large) for _ in range(12)])
reader.start()
children = []
for _ in range(8):
    time.sleep(0.01)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        good = np.array_equal(estimator.transform(rows), expected)
        good = good and np.array_equal(estimator.transform(large), of_large)
        os._exit(0 if good else 1)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
reader.join()
print(codes)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_eight_forked_children_compute_as_their_parent():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == str([0] * 8), done.stderr


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_computes_the_same(backend, network, digits):
    parts = np.array_split(digits, 4)
    with joblib.parallel_config(backend=backend):
        found = joblib.Parallel(n_jobs=2)(joblib.delayed(network.transform)(p) for p in parts)
    for codes, part in zip(found, parts, strict=True):
        np.testing.assert_allclose(codes, network.transform(part), atol=1e-5)


ELSEWHERE = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    estimator, rows, codes = pickle.load(file)
np.testing.assert_allclose(estimator.transform(rows), codes, atol=1e-5)
assert not {"keras", "jax", "tensorflow", "torch"} & set(sys.modules)
"""


def test_a_pickle_is_used_without_keras(network, digits, tmp_path):
    content = pickle.dumps((network, digits[:9], network.transform(digits[:9])))
    assert len(content) < 100_000
    (tmp_path / "pickle").write_bytes(content)
    subprocess.run([sys.executable, "-c", ELSEWHERE, tmp_path / "pickle"], check=True)
