"""What surrounds a call: signals, memory that is not there, floating-point modes, other interpreters."""

import os
import sys

import numpy as np
import pytest
from reference import FUNCTIONS

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")
EVERYTHING_FINITE = np.array(
    [-1e30, -1000, -745.2, -95, -1, -0.0, 0, 5e-324, 0.1, 0.5, 1 - 2.0**-53, 1, 2, 30, 720, 1e30]
)

# Signals


@pytest.mark.skipif(not hasattr(os, "kill"), reason="needs signals")
@pytest.mark.parametrize("threads", [1, 3])
def test_keyboard_interrupt(run_python, threads):
    """A call ends before KeyboardInterrupt is raised: all elements are results; the next call is right."""
    printed = run_python(
        f"""if True:
    import os, signal, threading, time
    import numpy as np
    import fastlogit

    # Ignored, it would stay so, as a shell has it for what runs in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    fastlogit.set_num_threads({threads})
    x = np.empty(2**24)
    fastlogit.expit(x[:100_000])  # starts the threads
    def softmax(x, out):
        return fastlogit.softmax(x.reshape(-1, 64), 1, out=out.reshape(-1, 64))
    def gradient(x, out):
        fastlogit.cross_entropy(x.reshape(-1, 64), x.reshape(-1, 64)[:, 1] > 0, grad=out.reshape(-1, 64),
                                reduction="sum")
        return out
    for call in (fastlogit.expit, softmax, gradient):
        x.fill(0)
        expected = call(x[:64].copy(), out=np.empty(64))
        inside = threading.Event()
        def interrupt():
            inside.wait()
            while x[0] == 0:  # the call has begun to write
                pass
            os.kill(os.getpid(), signal.SIGINT)
        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            inside.set()
            call(x, out=x)
            thread.join()
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            pass
        thread.join()
        assert (x.reshape(-1, 64) == np.ravel(expected)).all()
    print('done')
    """,
        OMP_NUM_THREADS=str(threads),
    )
    assert printed == "done\n"


# Memory


@needs_linux
def test_result_that_no_memory_can_hold(run_python):
    """A MemoryError, as NumPy's, and the input is what it was; the next call works."""
    printed = run_python("""if True:
    import resource
    import numpy as np
    import fastlogit
    from reference import FUNCTIONS

    fastlogit.set_num_threads(1)
    x = np.full((2**12, 2**12), 0.25)
    calls = [function.call for function in FUNCTIONS.values()]
    calls += [function.ufunc for function in FUNCTIONS.values()]
    calls += [lambda x: fastlogit.softmax(x, 1), lambda x: fastlogit.log_softmax(x, 0)]
    def of_labels(x):
        return fastlogit.cross_entropy(x, np.arange(len(x)), axis=1, reduction="none", grad=np.empty_like(x))
    def binary(x):
        return fastlogit.binary_cross_entropy_with_logits(x, x, reduction="none")
    calls += [of_labels, binary]
    calls += [lambda x: fastlogit.expit(x.view("i8")), lambda x: fastlogit.softmax(x.view("i8"), 1)]
    for call in calls:
        call(x[:1])
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + 64 * 2**20, limits[1]))
    for call in calls:
        try:
            call(x)
        except MemoryError:
            pass
        else:
            raise AssertionError("the limit is too high for this test")
        assert (x == 0.25).all()
        call(x[:1])
    fastlogit.logsumexp(x.view("i8"), 1)  # needs no memory of that size
    for call in (fastlogit.expit, fastlogit.softmax, fastlogit.log_softmax):
        call(x, out=x)  # needs no memory of that size
    fastlogit.cross_entropy(x, x[:, 0] > 0, grad=x)
    fastlogit.binary_cross_entropy_with_logits(x, np.broadcast_to(True, x.shape), grad=x)
    print('done')
    """)
    assert printed == "done\n"


# The floating-point environment


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
@pytest.mark.parametrize("mode", [0x400, 0x800, 0xC00], ids=["down", "up", "towards zero"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_rounding_mode_of_the_caller(libm, name, mode, dtype):
    """It makes no difference, and is there again afterwards."""
    call = FUNCTIONS[name].call
    x = np.tile(EVERYTHING_FINITE.astype(dtype), 400)
    expected = call(x)
    libm.fesetround(mode)
    try:
        got = call(x)
        after = libm.fegetround()
    finally:
        libm.fesetround(0)
    assert after == mode
    np.testing.assert_array_equal(got, expected)


@needs_linux
@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
def test_exceptions_that_trap(run_python, libm, dtype):
    """Where the caller lets floating-point exceptions end the process, fastlogit's do not."""
    assert libm
    printed = run_python(f"""if True:
    import ctypes, ctypes.util
    import numpy as np
    import fastlogit
    from reference import FUNCTIONS
    from floating_point import EVERYTHING, FLAGS

    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    with np.errstate(all="ignore"):
        x = np.tile(np.array(EVERYTHING).astype({dtype!r}), 300)
    calls = [lambda f=f: f.call(x) for f in FUNCTIONS.values()]
    calls += [lambda f=f: f.ufunc(x) for f in FUNCTIONS.values()]
    if {dtype!r} != "longdouble":  # NumPy's loops
        calls += [lambda f=f, axis=axis: f(x.reshape(-1, 27), axis) for axis in (0, 1)
                  for f in (fastlogit.softmax, fastlogit.log_softmax, fastlogit.logsumexp)]
    for call in calls:
        call()
    libm.feenableexcept(FLAGS)
    for call in calls:
        call()
    assert libm.fegetexcept() == FLAGS
    libm.fedisableexcept(FLAGS)
    print('done')
    """)
    assert printed == "done\n"


# Another interpreter of the process


def test_second_interpreter(run_python):
    """It is told that it cannot have fastlogit, and what it can do; the first goes on."""
    printed = run_python("""if True:
    try:
        import _interpreters
    except ImportError:
        import _xxsubinterpreters as _interpreters
    import numpy as np
    import fastlogit

    other = _interpreters.create()
    told = '''if True:
    try:
        import fastlogit
    except ImportError as error:
        assert "one interpreter of a process" in str(error), str(error)
        assert "threads" in str(error)
    else:
        raise AssertionError("it was imported")
    '''
    failed = _interpreters.run_string(other, told) if hasattr(_interpreters, "run_string") else None
    assert failed is None, failed
    _interpreters.destroy(other)
    assert fastlogit.expit(np.zeros(3)).tolist() == [0.5] * 3
    print('done')
    """)
    assert printed == "done\n"
