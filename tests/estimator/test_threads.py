"""One estimator in many threads and processes; the numbers are those of a single
thread.
"""

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import joblib
import keras
import numpy as np
import pytest
from keras import layers
from sklearn.exceptions import NotFittedError
from threadpoolctl import threadpool_info, threadpool_limits

from keras_tied import TiedAutoencoder
from keras_tied.fitted.blocks import map_blocks

METHODS = "transform reconstruct reconstruction_error score_samples predict".split()


@pytest.fixture(scope="module")
def network(digits) -> TiedAutoencoder:
    """A network with a hidden layer; tests must not change it."""
    settings = {
        "hidden_layer_sizes": 16,
        "sparsity": 1e-6,
        "max_iter": 2,
        "random_state": 0,
    }
    return TiedAutoencoder(4, **settings).fit(digits[:300])


@pytest.fixture(autouse=True)
def quick_switches():
    """Let threads wait less than 5 ms for the lock each time that NumPy
    gives it back.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def two_blas_threads() -> Iterator[None]:
    with threadpool_limits(2, user_api="blas"):
        yield


def blas_threads() -> list[int]:
    libraries = threadpool_info()
    return [
        library["num_threads"] for library in libraries if library["user_api"] == "blas"
    ]


def wait_for_blas_threads(expected: list[int]) -> None:
    """Wait for threads that end with the block that they have begun."""
    end = time.monotonic() + 20
    while blas_threads() != expected and time.monotonic() < end:
        time.sleep(0.01)
    assert blas_threads() == expected


@contextmanager
def calling(function: Callable[[], np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Call a function again and again in another thread meanwhile; what
    it has given.
    """
    done, found = threading.Event(), []

    def call() -> None:
        while not done.is_set():
            found.append(function())

    caller = threading.Thread(target=call)
    caller.start()
    try:
        yield found
    finally:
        done.set()
        caller.join()


def many(rows: np.ndarray) -> np.ndarray:
    """Rows of several blocks."""
    return np.resize(rows, (30_000, rows.shape[1]))


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_eight_threads_get_the_answers_of_one(method, network, digits):
    call, before = getattr(network, method), blas_threads()
    parts = [digits[i : i + 1 + i % 5] for i in range(40)]
    expected = [call(part) for part in parts]
    large, of_large = many(digits), call(many(digits))

    def work(number: int) -> None:
        for turn in range(300):
            place = (number + turn) % len(parts)
            np.testing.assert_array_equal(call(parts[place]), expected[place])
        np.testing.assert_array_equal(call(large), of_large)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert blas_threads() == before


@pytest.mark.slow
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
    with calling(lambda: estimator.transform(digits)) as found:
        for count in (45, 49):
            known.append(estimator.fit(digits[:count]).transform(digits))
    assert found
    for codes in found:
        assert any(np.array_equal(codes, each) for each in known)


@pytest.mark.slow
def test_threads_agree_on_an_encoder_of_ones_own(digits):
    encoder = keras.Sequential(
        [keras.Input((64,)), layers.Dense(5, "relu"), layers.Dense(3)]
    )
    estimator = TiedAutoencoder(encoder=encoder, max_iter=1, random_state=0).fit(
        digits[:100]
    )
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
import os, signal, threading, time
import numpy as np
from threadpoolctl import threadpool_info

from keras_tied import TiedAutoencoder
blas = lambda: [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]
before = blas()
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
        good = blas() == before and np.array_equal(estimator.transform(rows), expected)
        good = good and np.array_equal(estimator.transform(large), of_large)
        os._exit(0 if good else 1)
    children.append(child)
codes, end = {}, time.monotonic() + 120
while len(codes) < len(children) and time.monotonic() < end:
    time.sleep(0.05)
    for child in set(children) - set(codes):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            codes[child] = os.waitstatus_to_exitcode(status)
for child in set(children) - set(codes):  # whose locks are those of threads that it has not
    os.kill(child, signal.SIGKILL)
    codes[child] = "hangs"
reader.join()
print([codes[child] for child in children])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_eight_forked_children_compute_as_their_parent():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.strip() == str([0] * 8), done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:")  # of JAX and, from 3.12 on, of Python
def test_a_fork_waits_until_no_thread_is_within_a_block(two_blas_threads):
    """Where a thread is within OpenBLAS, the child can wait for its lock forever."""
    within, codes = [0], []

    def block(part: slice) -> None:
        within[0] += 1
        if len(codes) < 5:
            time.sleep(0.005)
        within[0] -= 1

    reader = threading.Thread(target=map_blocks, args=(block, 10_000, 1, True))
    reader.start()
    for _ in range(5):
        time.sleep(0.002)
        child = os.fork()
        if child == 0:
            os._exit(within[0])
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    reader.join()
    assert codes == [0] * 5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork:")  # of JAX and, from 3.12 on, of Python
@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_joblib_computes_the_same(backend, network, digits):
    parts = np.array_split(digits, 4)
    with joblib.parallel_config(backend=backend):
        found = joblib.Parallel(n_jobs=2)(
            joblib.delayed(network.transform)(p) for p in parts
        )
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


@pytest.mark.slow
def test_a_pickle_is_used_without_keras(network, digits, tmp_path):
    content = pickle.dumps((network, digits[:9], network.transform(digits[:9])))
    assert len(content) < 100_000
    (tmp_path / "pickle").write_bytes(content)
    subprocess.run([sys.executable, "-c", ELSEWHERE, tmp_path / "pickle"], check=True)


def test_blas_has_one_thread_in_large_calls_and_its_own_number_afterwards(
    two_blas_threads,
):
    within: set[int] = set()

    def block(part: slice) -> None:
        within.update(blas_threads())
        time.sleep(0.001)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: map_blocks(block, 8, 1, threads=True), range(20)))
    assert within == {1}
    assert set(blas_threads()) == {2}


@pytest.mark.skipif(min(blas_threads()) < 2, reason="BLAS has one thread here")
def test_other_threads_can_limit_blas_after_a_large_call():
    map_blocks(lambda part: None, 8, 1, threads=True)

    def limit(_) -> list[int]:
        with threadpool_limits(1, user_api="blas"):
            return blas_threads()

    with ThreadPoolExecutor(1) as pool:
        assert {1} == {number for found in pool.map(limit, [0]) for number in found}


def test_a_limit_of_one_thread_is_kept():
    with threadpool_limits(1, user_api="blas"):
        threads = map_blocks(lambda part: threading.get_ident(), 8, 1, threads=True)
    assert set(threads) == {threading.get_ident()}


def test_large_calls_keep_the_order_of_blocks(two_blas_threads):
    begins = map_blocks(lambda part: (part.start, part.stop), 10, 3, threads=True)
    assert begins == [(0, 3), (3, 6), (6, 9), (9, 10)]


def test_an_error_in_a_block_is_raised_and_the_other_blocks_are_left(two_blas_threads):
    begun = []

    def block(part: slice) -> None:
        begun.append(part.start)
        if part.start == 0:
            raise ZeroDivisionError
        time.sleep(0.001)

    with pytest.raises(ZeroDivisionError):
        map_blocks(block, 10_000, 1, threads=True)
    assert len(begun) < 1_000
    assert set(blas_threads()) == {2}


@pytest.mark.skipif(np.__version__ < "2", reason="errstate is of one thread in NumPy 1")
def test_errstate_of_the_caller_holds_in_large_calls(two_blas_threads):
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        map_blocks(lambda part: np.ones(1) / np.zeros(1), 8, 1, threads=True)


def test_ctrl_c_ends_a_large_call(ctrl_c, two_blas_threads, network, digits):
    value, begun = network._fitted, []

    def block(part: slice, _) -> None:
        begun.append(part)
        if len(begun) == 3:
            ctrl_c()
        time.sleep(0.01)

    rows = np.broadcast_to(digits[0], (2**21, 64))
    with pytest.raises(KeyboardInterrupt):
        value.fold(rows, block)
    assert len(begun) < len(rows) / value.network.block_rows / 2
    wait_for_blas_threads([2] * len(blas_threads()))


@pytest.mark.no_cover  # or coverage itself is interrupted, and leaves its lock taken
@pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="there are no such timers here"
)
def test_ctrl_c_at_any_moment_leaves_blas_its_threads(two_blas_threads):
    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    before, moments = signal.signal(signal.SIGALRM, interrupt), random.Random(0)
    try:
        for _ in range(500):
            try:
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-6, 1e-3))
                map_blocks(lambda part: None, 4, 1, threads=True)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    wait_for_blas_threads([2] * len(blas_threads()))


FORKED_ENCODER = """
import os, pickle, signal
import keras
import numpy as np
from sklearn.exceptions import NotFittedError

from keras_tied import TiedAutoencoder
encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
rows = np.random.default_rng(0).normal(size=(60, 4))
fitted = TiedAutoencoder(encoder=encoder, max_iter=1, random_state=0).fit(rows)
for estimator in (fitted, pickle.loads(pickle.dumps(fitted))):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            estimator.transform(rows)
        except RuntimeError as error:
            os._exit(0 if "forked" in str(error) else 1)
        os._exit(2)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), end=" ")
estimator.transform(rows)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch computes there")
def test_an_encoder_of_ones_own_refuses_to_compute_in_a_forked_child():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED_ENCODER],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.stdout.split(), done.returncode) == (["0", "0"], 0), done.stderr


@pytest.mark.slow
def test_partial_fit_goes_on_after_a_pickle_as_without_one(digits):
    """In a single step, for which the order of the rows does not matter."""
    estimator = TiedAutoencoder(3, batch_size=512, random_state=0).partial_fit(
        digits[:512]
    )
    copy = pickle.loads(pickle.dumps(estimator))
    codes = [
        each.partial_fit(digits[512:1024]).transform(digits)
        for each in (estimator, copy)
    ]
    np.testing.assert_allclose(*codes, atol=1e-4)


@pytest.mark.slow
def test_predictions_beside_a_refit_are_those_of_one_fit(digits):
    """The threshold and the score that it is for change together."""
    estimator = TiedAutoencoder(2, random_state=0).fit(digits[:40])
    other = TiedAutoencoder(2, random_state=0).fit(digits[:49])
    known = [estimator.decision_function(digits), other.decision_function(digits)]
    with calling(lambda: estimator.decision_function(digits)) as found:
        for count in (49, 40) * 10:
            estimator.fit(digits[:count])
    assert found
    for scores in found:
        assert any(np.allclose(scores, each, atol=1e-3) for each in known)


def test_after_a_failed_first_fit_nothing_is_fitted(digits):
    estimator = TiedAutoencoder(100)
    with pytest.raises(ValueError, match="n_components=100"):
        estimator.fit(digits[:20])
    with pytest.raises(NotFittedError):
        estimator.transform(digits[:2])
