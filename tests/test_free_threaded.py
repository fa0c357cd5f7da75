"""Without the interpreter's lock. Of a Python that has it, the same with the lock between the steps.

``tools/free_threaded`` runs this, and most of the suite, in a Python without.
"""

import concurrent.futures
import pickle
import sys
import sysconfig
import threading

import numpy as np
import pytest
from reference import FUNCTIONS, bits

import fastlogit
from fastlogit import ufuncs
from fastlogit._build_config import OPENMP

pytestmark = pytest.mark.usefixtures("restored_threads")

PYTHON_THREADS = 8


def together(work):
    """In so many threads at once, each with its number; what one of them raises is raised."""
    start = threading.Barrier(PYTHON_THREADS)

    def begin(number):
        start.wait()
        return work(number)

    with concurrent.futures.ThreadPoolExecutor(PYTHON_THREADS) as pool:
        return [future.result() for future in [pool.submit(begin, k) for k in range(PYTHON_THREADS)]]


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has one lock for all threads"
)
def test_free_threaded_python_stays_so(run_python):
    """Whichever extension comes first: one that asks for the lock would switch it on for all."""
    code = (
        "import importlib, sys\n"
        "import fastlogit.scalar\n"
        "for part in ('elementwise', 'slices', 'weighted', 'parts', 'cross_entropy', 'binary_loss'):\n"
        "    for isa in fastlogit._isa.supported():\n"
        "        importlib.import_module(f'fastlogit.kernels.{part}_{isa}')\n"
        "print(sys._is_gil_enabled())"
    )
    assert run_python(code, PYTHON_GIL=None) == "False\n"


def test_one_ufunc_for_each_eps():
    """All threads get one object, also while others make room by dropping what nobody holds."""

    def work(number):
        rng = np.random.default_rng(number)
        held = {eps: ufuncs.clamped_logit(eps) for eps in np.linspace(0.1, 0.2, 20)}
        for turn in range(300):
            ufuncs.clamped_logit(rng.random() / 2)
            eps = list(held)[turn % len(held)]
            assert ufuncs.clamped_logit(eps) is held[eps]
            assert pickle.loads(pickle.dumps(held[eps])) is held[eps]
        return held

    first, *others = together(work)
    for other in others:
        assert all(other[eps] is first[eps] for eps in first)


def test_first_calls_at_once(run_python):
    """What is made at the first call of all is made by several threads at once."""
    printed = run_python("""if True:
    import threading
    import numpy as np
    start = threading.Barrier(8)
    x = np.linspace(0.01, 0.99, 50_000).reshape(500, 100)
    results = []
    def work():
        start.wait()
        import fastlogit
        results.append((
            fastlogit.logit(x, 1e-6).tobytes(), fastlogit.softmax(x, 1).tobytes(),
            fastlogit.cross_entropy(x, np.arange(500) % 100), fastlogit.logsumexp(x, 0, b=x).tobytes(),
        ))
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(len(results), len(set(results)))
    """)
    assert printed == "8 1\n"


def test_wrong_calls_at_once():
    """Errors are raised where they belong, and right calls in between are right."""
    from bad_calls import CALLS  # which imports what not every interpreter starts with

    x = FUNCTIONS["expit"].inputs(500, "float64")
    expected = bits(fastlogit.softmax(x))
    calls = [call for call in CALLS if call.function is not fastlogit.set_num_threads]

    def work(number):
        for call in calls[number::PYTHON_THREADS]:
            arguments, options = call.make()
            with pytest.raises(call.error):
                call.function(*arguments, **options)
            np.testing.assert_array_equal(bits(fastlogit.softmax(x)), expected)

    together(work)


@pytest.mark.skipif(not OPENMP, reason="this build has no OpenMP and one thread only")
def test_blocks_of_numbers_of_threads():
    """Each thread has its own, entered and left in any order."""

    def work(number):
        for turn in range(200):
            with fastlogit.num_threads(number + 1):
                assert fastlogit.get_num_threads() == number + 1
                with fastlogit.num_threads(turn % 5 + 1):
                    assert fastlogit.get_num_threads() == turn % 5 + 1
                assert fastlogit.get_num_threads() == number + 1

    before = fastlogit.get_num_threads()
    together(work)
    assert fastlogit.get_num_threads() == before


def test_references_of_arguments_that_threads_share():
    """None is lost and none is kept, although nothing guards the counts but the interpreter."""
    x, out = np.linspace(0.1, 0.9, 64), np.empty(64)
    axis, eps = (0,), 0.123456
    shared = (x, out, axis, eps)
    before = [sys.getrefcount(value) for value in shared]

    def work(number):
        for _ in range(500):
            fastlogit.logit(x, eps)
            fastlogit.softmax(x, axis)
            fastlogit.binary_cross_entropy_with_logits(x, x)
            with pytest.raises(TypeError):
                fastlogit.expit(x, out=axis)

    together(work)
    assert [sys.getrefcount(value) for value in shared] == before
