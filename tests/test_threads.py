"""The number of threads: who sets it, that it is obeyed, and that fork() is survived."""

import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from fastlogit._build_config import COMPILER, OPENMP
from reference import FUNCTIONS, bits

import fastlogit
from fastlogit._threads import cgroup_quota

needs_openmp = pytest.mark.skipif(not OPENMP, reason="this build has no OpenMP and one thread only")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

pytestmark = pytest.mark.usefixtures("restored_threads")


# Setting and asking


@needs_openmp
def test_set_and_get():
    for n in (1, 2, 7, np.int64(3), np.uint8(1)):
        fastlogit.set_num_threads(n)
        assert fastlogit.get_num_threads() == n


@needs_openmp
def test_context_manager_restores_also_after_an_error():
    fastlogit.set_num_threads(3)
    with fastlogit.num_threads(5):
        assert fastlogit.get_num_threads() == 5
        with fastlogit.num_threads(2):
            assert fastlogit.get_num_threads() == 2
        assert fastlogit.get_num_threads() == 5
    assert fastlogit.get_num_threads() == 3
    with pytest.raises(KeyError), fastlogit.num_threads(2):
        raise KeyError
    assert fastlogit.get_num_threads() == 3


@pytest.mark.parametrize("n", [0, -1, -(2**70), 2**31, 2**70])
@pytest.mark.parametrize(
    "setter", [fastlogit.set_num_threads, lambda n: fastlogit.num_threads(n).__enter__()]
)
def test_numbers_that_are_no_number_of_threads(setter, n):
    before = fastlogit.get_num_threads()
    with pytest.raises(ValueError, match=f"n is {n}"):
        setter(n)
    assert fastlogit.get_num_threads() == before


@pytest.mark.parametrize("n", [None, 2.0, "2", True, [2], np.array([1, 2])], ids=repr)
@pytest.mark.parametrize(
    "setter", [fastlogit.set_num_threads, lambda n: fastlogit.num_threads(n).__enter__()]
)
def test_things_that_are_no_number_of_threads(setter, n):
    before = fastlogit.get_num_threads()
    with pytest.raises(TypeError):
        setter(n)
    assert fastlogit.get_num_threads() == before


@needs_openmp
@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_environment_variable_of_openmp(run_python, n):
    printed = run_python("import fastlogit; print(fastlogit.get_num_threads())", OMP_NUM_THREADS=str(n))
    assert int(printed) == n


@needs_openmp
@needs_linux
def test_the_default_is_what_affinity_leaves(run_python):
    printed = run_python(
        "import os\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import fastlogit\n"
        "print(fastlogit.get_num_threads())\n",
        OMP_NUM_THREADS=None,
    )
    assert int(printed) == 1


@needs_openmp
def test_threadpoolctl(run_python):
    """Its limit counts from the next call on, and below what set_num_threads asked for."""
    pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    printed = run_python(
        "import fastlogit\n"
        "from threadpoolctl import threadpool_limits\n"
        "numbers = [fastlogit.get_num_threads()]\n"
        "with threadpool_limits(limits=2):\n"
        "    numbers.append(fastlogit.get_num_threads())\n"
        "numbers.append(fastlogit.get_num_threads())\n"
        "fastlogit.set_num_threads(3)\n"
        "with threadpool_limits(limits=2, user_api='openmp'):\n"
        "    numbers.append(fastlogit.get_num_threads())\n"
        "numbers.append(fastlogit.get_num_threads())\n"
        "print(numbers)\n",
        OMP_NUM_THREADS="4",
    )
    assert printed.strip() == "[4, 2, 4, 2, 3]"


# Threads really run

FAULTS_OF_EACH_THREAD = """if True:
    import glob
    import mmap
    import re
    import numpy as np
    import fastlogit
    from reference import FUNCTIONS

    PAGES = 4096

    def minor_faults():
        found = {}
        for path in glob.glob("/proc/self/task/*/stat"):
            with open(path) as file:
                found[path] = int(file.read().rpartition(")")[2].split()[7])
        return found

    def fresh_pages():
        memory = mmap.mmap(-1, PAGES * mmap.PAGESIZE)
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        return memory
"""


@needs_openmp
@needs_linux
@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("way", ["call", "ufunc"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
def test_each_thread_writes_its_share(run_python, way, dtype, threads):
    """The thread that first writes to a page of fresh memory takes the page fault.

    So the faults tell who did the work, however fast it went and however idle threads wait.
    """
    printed = run_python(
        FAULTS_OF_EACH_THREAD
        + f"""
    for function in FUNCTIONS.values():
        call = function.{way}
        memory = fresh_pages()
        out = np.frombuffer(memory, {dtype!r})
        x = np.full(out.shape, 0.25, {dtype!r})
        call(x, out=x)  # starts the threads
        before = minor_faults()
        call(x, out=out)
        faults = [count - before.get(task, 0) for task, count in minor_faults().items()]
        print(sum(count >= PAGES // {2 * threads} for count in faults), sum(faults) >= PAGES)
    """,
        OMP_NUM_THREADS=str(threads),
    )
    assert printed == f"{threads} True\n" * len(FUNCTIONS)


@needs_openmp
@needs_linux
def test_small_arrays_start_no_thread(run_python):
    printed = run_python(
        "import os\n"
        "import numpy as np\n"
        "from reference import FUNCTIONS\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "for function in FUNCTIONS.values():\n"
        "    for dtype in ('f4', 'f8', 'g'):\n"
        "        function.call(np.full(256, 0.25, dtype))\n"
        "        function.ufunc(np.full(256, 0.25, dtype))\n"
        "small = len(os.listdir('/proc/self/task'))\n"
        "FUNCTIONS['expit'].call(np.full(2**20, 0.25))\n"
        "large = len(os.listdir('/proc/self/task'))\n"
        "print(small - before, large - before)\n",
        OMP_NUM_THREADS="3",
    )
    assert printed == "0 2\n"


COUNT_REGIONS = """
#define _GNU_SOURCE
#include <dlfcn.h>
int regions;
void GOMP_parallel(void (*call)(void *), void *data, unsigned threads, unsigned flags)
{
    void (*real)(void (*)(void *), void *, unsigned, unsigned) = dlsym(RTLD_NEXT, "GOMP_parallel");
    regions++;
    real(call, data, threads, flags);
}
"""


@needs_openmp
@needs_linux
def test_one_thread_enters_no_parallel_region(run_python, tmp_path):
    """Entering one, with one thread too, costs more than eight elements: counted in the library of gcc."""
    compiler = shutil.which("gcc")
    if compiler is None or not COMPILER.startswith("gcc "):
        pytest.skip("needs gcc, and its OpenMP in this build")
    source, library = tmp_path / "regions.c", tmp_path / "regions.so"
    source.write_text(COUNT_REGIONS)
    link = ["-shared", "-fPIC", "-Wl,--no-as-needed", "-lgomp", "-ldl"]
    subprocess.run([compiler, str(source), "-o", str(library), *link], check=True)
    printed = run_python(
        "import ctypes\n"
        "import numpy as np\n"
        "import fastlogit\n"
        f"regions = ctypes.c_int.in_dll(ctypes.CDLL({str(library)!r}), 'regions')\n"
        "weighted = lambda x: fastlogit.logsumexp(x, -1, b=x)\n"
        "of_slices = [lambda x, f=f: f(x, -1) for f in\n"
        "             (fastlogit.softmax, fastlogit.log_softmax, fastlogit.logsumexp)]\n"
        "from reference import FUNCTIONS\n"
        "of_elements = [function.call for function in FUNCTIONS.values()]\n"
        "for shape, threads in (((1, 8), 3), ((40, 8), 3), ((300, 1000), 1), ((300, 1000), 3)):\n"
        "    for call in (*of_elements, *of_slices, weighted):\n"
        "        for dtype in ('f4', 'f8'):\n"
        "            before = regions.value\n"
        "            with fastlogit.num_threads(threads):\n"
        "                call(np.full(shape, 0.25, dtype))\n"
        "            print(regions.value > before, end=' ')\n"
        "    print()\n",
        LD_PRELOAD=str(library),
    )
    assert [set(line.split()) for line in printed.splitlines()] == [{"False"}] * 3 + [{"True"}]


# fork()

FORK = """if True:
    import os
    import signal
    import warnings
    import numpy as np
    import fastlogit
    from reference import FUNCTIONS

    x = {name: function.inputs(300_000, "float64") for name, function in FUNCTIONS.items()}
    parent = {name: function.call(x[name]) for name, function in FUNCTIONS.items()}

    def check():
        assert fastlogit.get_num_threads() == 1
        for name, function in FUNCTIONS.items():
            for call in (function.call, function.ufunc):
                assert call(x[name]).tobytes() == parent[name].tobytes()
        function.ufunc(np.full(300_000, 0.25, np.longdouble))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fastlogit.set_num_threads(1)
            assert not caught
            fastlogit.set_num_threads(2)
        assert [warning.category for warning in caught] == [RuntimeWarning]
        assert "fork" in str(caught[0].message)
        assert fastlogit.get_num_threads() == 1
        fastlogit.expit(x["expit"])

    def fork_and(action):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: threads and fork()
            child = os.fork()
        if child == 0:
            signal.alarm(60)
            status = 1
            try:
                action()
                status = 0
            except BaseException:
                import traceback
                traceback.print_exc()
            finally:
                os._exit(status)
        status = os.waitpid(child, 0)[1]
        assert status == 0, status
"""


@needs_openmp
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
@pytest.mark.parametrize("preparation", ["", "fastlogit.set_num_threads(3)"])
def test_forked_child_works_and_stays_serial(run_python, preparation):
    printed = run_python(
        FORK
        + f"""
    {preparation}
    threads = fastlogit.get_num_threads()
    fork_and(check)
    fork_and(lambda: fork_and(check))
    assert fastlogit.get_num_threads() == threads >= 2
    for name, function in FUNCTIONS.items():
        assert function.call(x[name]).tobytes() == parent[name].tobytes()
    print("done")
    """,
        OMP_NUM_THREADS="2",
    )
    assert printed == "done\n"


# The quota of a control group


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("400000 200000\n", 2),
        ("", None),
        ("nonsense\n", None),
        ("1 2 3\n", None),
        ("x y\n", None),
        ("100000 0\n", None),
        ("-1 100000\n", None),
    ],
)
def test_cgroup_2(tmp_path, text, cpus):
    (tmp_path / "cpu.max").write_text(text)
    assert cgroup_quota(tmp_path) == cpus
    assert cgroup_quota(str(tmp_path)) == cpus


@pytest.mark.parametrize(
    ("quota", "period", "cpus"),
    [
        ("-1", "100000", None),
        ("300000", "100000", 3),
        ("250000", "100000", 3),
        ("10000", "100000", 1),
        ("0", "100000", None),
        ("300000", None, None),
        (None, "100000", None),
        ("", "", None),
        ("100000", "0", None),
    ],
)
def test_cgroup_1(tmp_path, quota, period, cpus):
    folder = tmp_path / "cpu"
    folder.mkdir()
    for name, value in (("quota", quota), ("period", period)):
        if value is not None:
            (folder / f"cpu.cfs_{name}_us").write_text(f"{value}\n")
    assert cgroup_quota(tmp_path) == cpus


def test_no_cgroup(tmp_path):
    assert cgroup_quota(tmp_path) is None
    assert cgroup_quota(tmp_path / "missing") is None


# Several Python threads at once


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_concurrent_calls_give_the_same_bits(dtype):
    cases = [
        (call, function.inputs(size, dtype))
        for function in FUNCTIONS.values()
        for call in (function.call, function.ufunc)
        for size in (500, 60_000)
    ]
    expected = [bits(call(x)) for call, x in cases]
    failures = []
    start = threading.Barrier(6)

    def work(first):
        start.wait()
        for i in range(5 * len(cases)):
            call, x = cases[(first + i) % len(cases)]
            own = x.copy()
            call(own, out=own)
            if not np.array_equal(bits(own), expected[(first + i) % len(cases)]):
                failures.append((first, i))

    workers = [threading.Thread(target=work, args=(3 * k,)) for k in range(6)]
    with fastlogit.num_threads(2):
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert not failures
