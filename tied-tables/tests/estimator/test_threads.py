"""One estimator in many threads and processes; the numbers are those of a single
thread.
"""

import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
import pytest
from tests.marks import slow
from tests.processes import inherit, run_python
from threadpoolctl import threadpool_info, threadpool_limits

from tied_tables import _processors
from tied_tables._blas import blas_limit
from tied_tables.fit import prepare
from tied_tables.fit.stack import Stack
from tied_tables.model.blocks import map_blocks
from tied_tables.model.dense_network import DenseNetwork
from tied_tables.model.imputation import Preprocessing

from .near import assert_near
from .networks import seeded

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
map_in_threads = partial(map_blocks, threads=True)
METHODS = "reconstruct reconstruction_error score_samples predict score".split()


@pytest.fixture(scope="module")
def network(digits):
    """A network with a hidden layer; tests must not change it."""
    return seeded(4, hidden_layer_sizes=16, sparsity=1e-6, max_iter=2).fit(digits[:300])


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
def two_blas_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


def count_blas_threads():
    return {
        library["num_threads"]
        for library in threadpool_info()
        if library["user_api"] == "blas"
    }


def wait_for_two_blas_threads():
    """Wait for threads that end with the block that they have begun."""
    end = time.monotonic() + 20
    while count_blas_threads() != {2} and time.monotonic() < end:
        time.sleep(0.01)
    assert count_blas_threads() == {2}


def compare_in_threads(call, parts, turns):
    """Eight threads give what one has given, for parts in turn."""
    expected = [call(part) for part in parts]

    def work(number):
        for turn in range(turns):
            place = (number + turn) % len(parts)
            assert_near(call(parts[place]), expected[place])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("turns", [2, pytest.param(300, marks=slow)])
def test_eight_threads_get_the_answers_of_one(
    turns, method, network, digits, two_blas_threads
):
    parts = [digits[place : place + 1 + place % 5] for place in range(40)]
    parts.append(np.resize(digits, (10_000, 64)))  # of several blocks
    compare_in_threads(getattr(network, method), parts, turns)
    wait_for_two_blas_threads()


@slow
@pytest.mark.filterwarnings("ignore:Values of X are treated as missing")
@pytest.mark.parametrize("method", ["transform", "decision_function", "score_samples"])
def test_a_reader_beside_a_refit_to_other_columns_gets_what_one_fit_gives(method, rng):
    """Rows are encoded by the columns of the fit that they are scored by, and threshold
    and score change together.
    """
    sizes = rng.normal(size=60)
    fruit = pd.DataFrame({"kind": ["plum", "pear", "plum"] * 20, "size": sizes})
    more = fruit.assign(kind=["plum", "pear", "fig", "apple", "kiwi", "lime"] * 10)
    wide = more.assign(price=2 * sizes, weight=sizes**2)
    frames = fruit, more, wide
    known = [getattr(seeded(1).fit(frame), method)(wide) for frame in frames]
    estimator = seeded(1).fit(fruit)
    found = []

    def refit():
        for place in range(15):
            estimator.fit(frames[place % 3])

    with ThreadPoolExecutor(1) as pool:
        refits = pool.submit(refit)
        while not refits.done():
            found.append(getattr(estimator, method)(wide))
    refits.result()
    for each in found:
        assert any(np.allclose(each, other, atol=1e-6) for other in known)


# Processes.

FORKS = """
import os, signal, threading, time
import numpy as np
from tied_tables import TiedAutoencoder
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
        good = np.array_equal(estimator.transform(rows), expected)
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
print(*[codes[child] for child in children])
"""
FORKED_FITS = """
import multiprocessing, os, signal
import numpy as np
from tied_tables import TiedAutoencoder
rows = np.random.default_rng(0).normal(size=(1500, 64))
rows[:, 32:] = rows[:, :32] ** 2
estimator = TiedAutoencoder(4, hidden_layer_sizes=600, max_iter=1, random_state=0)
expected = estimator.fit(rows).transform(rows)
def fit_again():
    signal.alarm(120)
    os._exit(0 if np.array_equal(estimator.fit(rows).transform(rows), expected) else 1)
child = os.fork()
if child == 0:
    fit_again()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
process = multiprocessing.get_context("fork").Process(target=fit_again)
process.start()
process.join()
print(process.exitcode)
"""
FIRST_FIT = """
import numpy as np
from threadpoolctl import threadpool_info
from tied_tables import TiedAutoencoder
from tied_tables.fit.stack import Stack
def count():
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}
numbers = set()
find_gradient = Stack.find_gradient
def spy(*arguments):
    numbers.update(count())
    return find_gradient(*arguments)
Stack.find_gradient = spy
rows = np.random.default_rng(0).normal(size=(60, 5))
TiedAutoencoder(2, solver="lbfgs", max_iter=1, random_state=0).fit(rows)
print(numbers, count())
"""


def run(program, **environment):
    """What a program prints in a process of its own."""
    done = run_python("-W", "ignore", "-c", program, environment=environment)
    return done.stdout.split()


@slow
@needs_fork
def test_eight_forked_children_compute_as_their_parent():
    assert run(FORKS) == ["0"] * 8


@slow
@needs_fork
def test_a_forked_child_fits_as_its_parent_did():
    assert run(FORKED_FITS) == ["0", "0"]


# Blocks of rows.


def test_blas_has_one_thread_in_large_calls_and_its_own_number_afterwards(
    two_blas_threads,
):
    within = set()

    def block(part):
        within.update(count_blas_threads())

    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda _: map_in_threads(
                    block,
                    8,
                    1,
                ),
                range(10),
            )
        )
    assert within == {1}
    assert count_blas_threads() == {2}


def spy_on_blas_threads(monkeypatch, owner, name):
    """The numbers of threads of BLAS at each call of a function."""
    numbers = set()
    function = getattr(owner, name)

    def call(*arguments, **options):
        numbers.update(count_blas_threads())
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, call)
    return numbers


@pytest.mark.parametrize("solver", ["lbfgs", "nadam"])
def test_blas_has_one_thread_in_a_fit_and_its_own_number_afterwards(
    solver, digits, monkeypatch, two_blas_threads
):
    of_gradients = spy_on_blas_threads(monkeypatch, Stack, "find_gradient")
    of_pca = spy_on_blas_threads(monkeypatch, prepare, "fit_pca")
    estimator = seeded(4, hidden_layer_sizes=600, max_iter=1, solver=solver)
    estimator.fit(digits)
    assert of_gradients == of_pca == {1}
    of_gradients.clear()
    estimator.partial_fit(digits[:200])
    assert of_gradients == {1}
    assert count_blas_threads() == {2}


@slow
def test_each_blas_that_the_first_fit_of_a_process_loads_has_one_thread():
    assert run(FIRST_FIT, OPENBLAS_NUM_THREADS="2") == ["{1}", "{2}"]


@pytest.mark.parametrize("method", [*METHODS, "transform", "impute", "explain"])
def test_blas_has_one_thread_in_calls_of_one_block(
    method, network, digits, monkeypatch, two_blas_threads
):
    rows = digits[:50].copy()
    rows[:, 20] = np.nan
    of_networks = spy_on_blas_threads(monkeypatch, DenseNetwork, "encode")
    of_gaps = spy_on_blas_threads(monkeypatch, Preprocessing, "impute")
    getattr(network, method)(rows)
    assert of_networks | of_gaps == {1}
    assert count_blas_threads() == {2}


def test_fits_at_a_time_leave_blas_its_own_number(digits, two_blas_threads):
    def fit(count):
        seeded(4, max_iter=1 + count % 3).fit(digits[: 60 + 10 * count])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fit, range(12)))
    assert count_blas_threads() == {2}


@pytest.mark.parametrize(("quota", "n_threads"), [(1.9, 1), (3.0, 3)])
def test_there_are_no_more_threads_than_processors(quota, n_threads, monkeypatch):
    """As on a machine of 64 cores, in a container with a small quota."""
    monkeypatch.setattr(_processors, "QUOTA", quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    monkeypatch.setattr(blas_limit, "count_threads", lambda: 64)
    begin = threading.Barrier(n_threads)

    def work(part):
        begin.wait(60)  # until each of the threads has a block
        return threading.get_ident()

    identities = map_in_threads(work, n_threads * 2, 1)
    assert len(set(identities)) == n_threads


def test_a_limit_of_one_thread_is_kept():
    with threadpool_limits(1, user_api="blas"):
        threads = map_in_threads(
            lambda part: threading.get_ident(),
            8,
            1,
        )
    assert set(threads) == {threading.get_ident()}


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_in_a_block_is_raised_and_the_other_blocks_are_left(
    error, two_blas_threads, ctrl_c
):
    begun = []

    def block(part):
        begun.append(part.start)
        if part.start == 20 and error is KeyboardInterrupt:
            ctrl_c()
        elif part.start == 20:
            raise error
        time.sleep(0.001)

    with pytest.raises(error):
        map_in_threads(
            block,
            10_000,
            1,
        )
    assert len(begun) < 1_000
    wait_for_two_blas_threads()


@pytest.mark.skipif(np.__version__ < "2", reason="errstate is of one thread in NumPy 1")
def test_errstate_of_the_caller_holds_in_large_calls(two_blas_threads):
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        map_in_threads(
            lambda part: np.ones(1) / np.zeros(1),
            8,
            1,
        )


@pytest.mark.no_cover  # or coverage itself is interrupted, and leaves its lock taken
@pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="there are no such timers here"
)
@pytest.mark.parametrize("block_rows", [1, 4])
def test_ctrl_c_at_any_moment_leaves_blas_its_threads(block_rows, two_blas_threads):
    """In the threads of several blocks, and in the caller's of one."""

    def interrupt(*_):
        raise KeyboardInterrupt

    moments = random.Random(0)
    with inherit(signal.SIGALRM, interrupt):
        try:
            for _ in range(500):
                try:
                    signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-6, 1e-3))
                    map_in_threads(
                        lambda part: None,
                        4,
                        block_rows,
                    )
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    wait_for_two_blas_threads()
