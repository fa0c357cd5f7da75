"""Every function runs on small stacks, of OpenMP's threads and of Python's, and asks for its memory before it
writes."""

import sys

import pytest

from fastlogit._build_config import OPENMP

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the sizes of stacks are those of Linux"),
    pytest.mark.once,
]

SMALLEST = 32768  # of a thread of Python: threading.stack_size refuses less

CALLS = """if True:
    import threading
    import numpy as np
    import fastlogit
    from reference import FUNCTIONS

    scores = np.random.default_rng(17).normal(size=(300, 1000)) * 30
    far = scores.copy()
    far[:, 500:] *= 100  # the scale that the first elements suggest does not hold for the others

    def calls():
        for dtype in ("float32", "float64"):
            for function in FUNCTIONS.values():
                x = np.resize(function.inputs(300_000, dtype), (300, 1000))
                for y in (x, x.T, x[::-2, ::3]):
                    yield lambda y=y, f=function: f.call(y), dtype
                    yield lambda y=y, f=function: f.ufunc(y), dtype
            for x in (scores.astype(dtype), far.astype(dtype)):
                for call in (fastlogit.softmax, fastlogit.log_softmax, fastlogit.logsumexp):
                    for axis in (0, 1, None):
                        for y in (x, x.T, x[::-2, ::3], x[:, :8], x[:2]):
                            yield lambda y=y, axis=axis, call=call: call(y, axis), dtype
                        yield lambda x=x, axis=axis, call=call: call(x, axis, where=x > -20), dtype
                for y in (x, x[:, ::2], x.T):
                    yield lambda y=y: fastlogit.logsumexp(y, 0, b=y), dtype
                    cancelling = y - y.mean(axis=0)
                    yield lambda y=cancelling: fastlogit.logsumexp(np.ones_like(y), 0, b=y), dtype
            labels, weights = np.arange(300), np.linspace(0, 1, 1000)
            for x in (scores.astype(dtype), far.astype(dtype)):
                for options in ({}, {"grad": np.empty_like(x)}, {"hess": np.empty_like(x)}):
                    def losses(x=x, options=options):
                        loss, classes = fastlogit.binary_cross_entropy_with_logits, fastlogit.cross_entropy
                        for y in (x, x[::-1]):
                            yield loss(y, y > 0, weights, pos_weight=weights, **options)
                            yield classes(y, labels, weights, label_smoothing=0.1, **options)
                            yield classes(y, weights + 0 * y, **options)
                        yield classes(x.T, labels % 7, axis=0, **{k: v.T for k, v in options.items()})
                        yield from options.values()
                    yield lambda losses=losses: np.concatenate([np.ravel(part) for part in losses()]), "f8"
        x = scores[:3].astype(np.longdouble)
        yield lambda: fastlogit.ufuncs.softplus(x), "float64"
        yield lambda: fastlogit.softmax(x, 1), "float64"

    def results():
        # Of a long double six bytes mean nothing.
        return [np.asarray(call(), result_type).tobytes() for call, result_type in calls()]
"""


@pytest.mark.skipif(not OPENMP, reason="this build has no OpenMP and one thread only")
@pytest.mark.parametrize("size", ["16k", "32k", "64k"])
def test_threads_of_openmp(run_python, size):
    printed = run_python(
        CALLS
        + """
    several = results()
    with fastlogit.num_threads(1):
        assert several == results()
    print('done')
    """,
        OMP_STACKSIZE=size,
        OMP_NUM_THREADS="3",
    )
    assert printed == "done\n"


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [SMALLEST, SMALLEST + 16384, 81920])
def test_threads_of_python(run_python, size, threads):
    printed = run_python(
        CALLS
        + f"""
    expected = results()
    got = []
    threading.stack_size({size})
    thread = threading.Thread(target=lambda: got.extend(results()))
    thread.start()
    thread.join()
    assert got == expected
    print('done')
    """,
        OMP_NUM_THREADS=str(threads),
    )
    assert printed == "done\n"


def test_main_thread(run_python):
    """96 KiB: the interpreter and NumPy need most of it. OpenMP's threads have as much by default."""
    code = CALLS + "    results()\n    print('done')\n"
    printed = run_python(
        "import os, resource, sys\n"
        "hard = resource.getrlimit(resource.RLIMIT_STACK)[1]\n"
        "resource.setrlimit(resource.RLIMIT_STACK, (96 * 1024, hard))\n"
        f"os.execv(sys.executable, [sys.executable, '-c', {code!r}])\n",
        OMP_NUM_THREADS="3",
    )
    assert printed == "done\n"


REFUSE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
int refused, refusing;
void *aligned_alloc(size_t alignment, size_t size)
{
    void *(*real)(size_t, size_t) = dlsym(RTLD_NEXT, "aligned_alloc");
    if (!refusing)
        return real(alignment, size);
    refused++;
    return NULL;
}
"""


def test_memory_that_cannot_be_had(run_python, compile_library):
    """A MemoryError, and nothing has been written; afterwards all is as before."""
    library = compile_library(REFUSE, "-ldl")
    printed = run_python(
        CALLS
        + f"""
    import ctypes
    library = ctypes.CDLL({str(library)!r})
    refusing, refused = (ctypes.c_int.in_dll(library, name) for name in ("refusing", "refused"))

    def refuse(x, call, axis):
        before = x.tobytes()
        count = refused.value
        refusing.value = 1
        try:
            call(x, axis) if call is fastlogit.logsumexp else call(x, axis, out=x)
        except MemoryError as error:
            assert "memory" in str(error)
        else:
            raise AssertionError("nothing was refused")
        finally:
            refusing.value = 0
        assert refused.value == count + 1
        assert x.tobytes() == before

    def in_new_thread(work):
        # Memory that a thread has once got it keeps.
        failures = []
        def watched():
            try:
                work()
            except BaseException as error:
                failures.append(repr(error))
        thread = threading.Thread(target=watched)
        thread.start()
        thread.join()
        assert not failures, failures

    for shape in ((8,), (300, 1000), (1000, 3), (200_000,)):
        for dtype in ("float32", "float64"):
            for call in (fastlogit.softmax, fastlogit.log_softmax, fastlogit.logsumexp):
                x = np.resize(scores, shape).astype(dtype)
                in_new_thread(lambda: refuse(x, call, 0))
                expected = call(x, 0).tobytes()
                in_new_thread(lambda: (refuse(x, call, 0), call(x, 0)))
                assert call(x, 0).tobytes() == expected
            y = np.resize(scores, (30, 10)).astype(dtype)
            loss = lambda y, axis, **_: fastlogit.cross_entropy(y, np.arange(30) % 10, grad=y)
            in_new_thread(lambda: refuse(y, loss, 0))
    # More threads than before need more, and what was there before still serves fewer.
    x = scores.copy()
    with fastlogit.num_threads(2):
        expected = fastlogit.softmax(x, 1)
        with fastlogit.num_threads(4):
            refuse(x, fastlogit.softmax, 1)
        assert fastlogit.softmax(x, 1).tobytes() == expected.tobytes()
    print('done')
    """,
        OMP_NUM_THREADS="3",
        LD_PRELOAD=str(library),
    )
    assert printed == "done\n"


def test_memory_of_a_thread_ends_with_it(run_python):
    """2,000 threads would leave 120 MB behind."""
    printed = run_python(
        CALLS
        + """
    from memory import resident_peak
    def work():
        fastlogit.softmax(scores[:2], 1)
    def start(count):
        for _ in range(count):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
    start(100)
    before = resident_peak()
    start(2000)
    assert resident_peak() - before < 16 * 2**20, resident_peak() - before
    print('done')
    """,
    )
    assert printed == "done\n"
