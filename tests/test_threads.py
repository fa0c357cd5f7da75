"""The number of threads: who sets it, that it is obeyed, and what the system does not grant."""

import concurrent.futures
import functools
import os
import sys
import threading

import numpy as np
import pytest
from reference import FUNCTIONS, bits

import fastlogit
from fastlogit._build_config import OPENMP
from fastlogit._runtime import spins_for
from fastlogit._threads import cgroup_quota, stack_bytes

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


def in_thread(work):
    """What the work returns in a Python thread of its own."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@needs_openmp
def test_block_belongs_to_one_python_thread():
    fastlogit.set_num_threads(3)
    with fastlogit.num_threads(5):
        assert in_thread(fastlogit.get_num_threads) == 3
        fastlogit.set_num_threads(4)
        assert fastlogit.get_num_threads() == 5
        assert in_thread(fastlogit.get_num_threads) == 4
    assert fastlogit.get_num_threads() == 4


@needs_openmp
def test_overlapping_blocks_of_two_python_threads():
    """Each leaves the number that was there before, in whatever order they end."""
    fastlogit.set_num_threads(3)
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        first, second = fastlogit.num_threads(1), fastlogit.num_threads(5)
        first.__enter__()
        other.submit(second.__enter__).result()
        assert (fastlogit.get_num_threads(), other.submit(fastlogit.get_num_threads).result()) == (1, 5)
        first.__exit__(None, None, None)
        assert (fastlogit.get_num_threads(), other.submit(fastlogit.get_num_threads).result()) == (3, 5)
        other.submit(second.__exit__, None, None, None).result()
        assert (fastlogit.get_num_threads(), other.submit(fastlogit.get_num_threads).result()) == (3, 3)


@needs_openmp
def test_overlapping_blocks_of_one_python_thread():
    """Coroutines and generators end them in any order."""
    fastlogit.set_num_threads(3)
    first, second = fastlogit.num_threads(1), fastlogit.num_threads(5)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert fastlogit.get_num_threads() == 5
    second.__exit__(None, None, None)
    assert fastlogit.get_num_threads() == 3


@needs_openmp
def test_block_that_another_python_thread_ends():
    """It ends for the thread that entered it, which sees so in its next block, and for nobody else."""
    fastlogit.set_num_threads(3)
    with fastlogit.num_threads(2):
        block = fastlogit.num_threads(5)
        block.__enter__()
        in_thread(lambda: block.__exit__(None, None, None))
        assert in_thread(fastlogit.get_num_threads) == 3
        with fastlogit.num_threads(4):
            assert fastlogit.get_num_threads() == 4
        assert fastlogit.get_num_threads() == 2
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


@needs_openmp
def test_limit_of_threadpoolctl_that_is_the_default(run_python):
    """OpenMP says the same number with it and without, so it limits nothing that asks for more."""
    pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    printed = run_python(
        "import fastlogit\n"
        "from threadpoolctl import threadpool_limits\n"
        "numbers = []\n"
        "for asked in (2, 4, 6):\n"
        "    fastlogit.set_num_threads(asked)\n"
        "    for limit in (3, 4, 5):\n"
        "        with threadpool_limits(limits=limit, user_api='openmp'):\n"
        "            numbers.append(fastlogit.get_num_threads())\n"
        "    numbers.append(fastlogit.get_num_threads())\n"
        "print(numbers)\n",
        OMP_NUM_THREADS="4",
    )
    assert printed.strip() == "[2, 2, 2, 2, 3, 4, 4, 4, 3, 6, 6, 6]"


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
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int regions;
long long pretended; /* ns on the monotonic clock, if any */
long long of_region; /* ns that pass there in a region */
int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (!pretended || clock != CLOCK_MONOTONIC)
        return syscall(SYS_clock_gettime, clock, time); /* a sanitizer asks before there is a dlsym */
    time->tv_sec = pretended / 1000000000;
    time->tv_nsec = pretended % 1000000000;
    return 0;
}
void GOMP_parallel(void (*call)(void *), void *data, unsigned threads, unsigned flags)
{
    void (*real)(void (*)(void *), void *, unsigned, unsigned) = dlsym(RTLD_NEXT, "GOMP_parallel");
    regions++;
    real(call, data, threads, flags);
    pretended += pretended ? of_region : 0;
}
"""


@pytest.fixture
def region_counter(compile_library):
    """A library that counts the regions that gcc's OpenMP is asked for, and can set the clock."""
    return compile_library(COUNT_REGIONS, "-Wl,--no-as-needed", "-lgomp", "-ldl")


def counting(library):
    return (
        "import ctypes\n"
        "import numpy as np\n"
        "import fastlogit\n"
        f"library = ctypes.CDLL({str(library)!r})\n"
        "regions = ctypes.c_int.in_dll(library, 'regions')\n"
        "clock = ctypes.c_longlong.in_dll(library, 'pretended')\n"
        "of_region = ctypes.c_longlong.in_dll(library, 'of_region')\n"
    )


@needs_openmp
@needs_linux
def test_one_thread_enters_no_parallel_region(run_python, region_counter):
    """Entering one, with one thread too, costs more than eight elements: counted in the library of gcc."""
    printed = run_python(
        f"{counting(region_counter)}"
        "weighted = lambda x: fastlogit.logsumexp(x, -1, b=x)\n"
        "of_slices = [lambda x, f=f: f(x, -1) for f in\n"
        "             (fastlogit.softmax, fastlogit.log_softmax, fastlogit.logsumexp)]\n"
        "from reference import FUNCTIONS\n"
        "of_elements = [function.call for function in FUNCTIONS.values()]\n"
        "for shape, threads in (((1, 8), 3), ((40, 8), 3), ((1000, 1000), 1), ((1000, 1000), 3)):\n"
        "    for call in (*of_elements, *of_slices, weighted):\n"
        "        for dtype in ('f4', 'f8'):\n"
        "            before = regions.value\n"
        "            with fastlogit.num_threads(threads):\n"
        "                call(np.full(shape, 0.25, dtype))\n"
        "            print(regions.value > before, end=' ')\n"
        "    print()\n",
        LD_PRELOAD=str(region_counter),
    )
    assert [set(line.split()) for line in printed.splitlines()] == [{"False"}] * 3 + [{"True"}]


SHORT_CALLS = """if True:
    x = np.full((32, 1024), 0.25, np.float32)

    def entered(call, pause):
        clock.value += pause
        before = regions.value
        call(x)
        return regions.value - before

    clock.value = 10**15
    with fastlogit.num_threads(2):
        for call in (fastlogit.expit, fastlogit.ufuncs.expit, lambda x: fastlogit.softmax(x, -1)):
            call(np.repeat(x, 32, axis=0))
            print(*(entered(call, pause) for pause in (10**9, 10**9, 1000, 1000, 10**9)))
"""


@needs_openmp
@needs_linux
@pytest.mark.parametrize("policy", ["", "passive"])
def test_short_call_after_a_pause_wakes_no_thread_up(policy, run_python, region_counter):
    """Waking takes longer than the call does; a second one at once wakes them, in a region of its own."""
    code = f"{counting(region_counter)}{SHORT_CALLS}"
    printed = run_python(code, LD_PRELOAD=str(region_counter), OMP_WAIT_POLICY=policy, FASTLOGIT_TUNING=None)
    expected = "0 0 0 0 0" if policy else "0 0 2 1 0"
    assert printed.splitlines() == [expected] * 3


@needs_openmp
@needs_linux
@pytest.mark.parametrize("nanoseconds", [0, 10**6, 10**9])
def test_threads_are_awake_after_a_call_however_long_it_took(nanoseconds, run_python, region_counter):
    """Once a call had to end within its estimate; otherwise each second one of a row stayed on one thread."""
    printed = run_python(
        f"{counting(region_counter)}"
        f"of_region.value = {nanoseconds}\n"
        "clock.value = 10**15\n"
        "x = np.zeros((256, 1024), np.float32)\n"
        "labels = np.arange(256)\n"
        "calls = [fastlogit.expit, fastlogit.ufuncs.expit, fastlogit.softmax]\n"
        "calls += [lambda x: fastlogit.logsumexp(x, -1, b=x)]\n"
        "calls += [lambda x: fastlogit.binary_cross_entropy_with_logits(x, x)]\n"
        "calls += [lambda x: fastlogit.cross_entropy(x, labels)]\n"
        "with fastlogit.num_threads(2):\n"
        "    for call in calls:\n"
        "        call(x)\n"
        "        call(x)\n"
        "        before = regions.value\n"
        "        call(x)\n"
        "        of_one = regions.value - before\n"
        "        for _ in range(9):\n"
        "            call(x)\n"
        "        print(regions.value - before == 10 * of_one > 0)\n",
        LD_PRELOAD=str(region_counter),
        FASTLOGIT_TUNING=None,
    )
    assert printed == "True\n" * 6


@needs_openmp
@needs_linux
def test_waking_threads_up_leaves_their_affinity(run_python):
    """A thread that wakes up on the processor of the caller goes to another one, and may come back."""
    printed = run_python(
        "import os, time\n"
        "import numpy as np\n"
        "import fastlogit\n"
        "from pathlib import Path\n"
        "def affinities():\n"
        "    return {task.name: sorted(os.sched_getaffinity(int(task.name)))\n"
        "            for task in Path('/proc/self/task').iterdir()}\n"
        "x = np.zeros(2**20)\n"
        "mine = sorted(os.sched_getaffinity(0))\n"
        "with fastlogit.num_threads(2):\n"
        "    for _ in range(200):\n"
        "        fastlogit.expit(x, out=x)\n"
        "        time.sleep(0.002)\n"
        "        assert all(of_task == mine for of_task in affinities().values())\n"
        "print(len(affinities()) > 1)\n"
    )
    assert printed == "True\n"


SLOW_START = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>
static void *late(void *call)
{
    sleep(20);
    write(2, "late", 4);
    return NULL;
}
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*call)(void *), void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, late, argument);
}
"""


@needs_openmp
@needs_linux
def test_alarm_ends_the_wait_for_threads_to_start(run_python, compile_library):
    """Signals are blocked while threads are made, which inherit that, and not while they are waited for."""
    library = compile_library(SLOW_START, "-ldl")
    printed = run_python(
        "import signal\n"
        "import numpy as np\n"
        "import fastlogit\n"
        "signal.alarm(1)\n"
        "with fastlogit.num_threads(2):\n"
        "    fastlogit.expit(np.zeros(2**20))\n",
        LD_PRELOAD=str(library),
        OPENBLAS_NUM_THREADS="1",
        fails=True,
    )
    assert "late" not in printed


IN_REGION = """
#include <omp.h>
/* As a library does that calls Python from its threads; with two levels, a region inside has threads too. */
void in_region(int threads, int levels, void (*call)(int))
{
    omp_set_max_active_levels(levels);
    #pragma omp parallel num_threads(threads)
    call(omp_get_thread_num());
}
"""


@needs_openmp
@needs_linux
@pytest.mark.parametrize("levels", [1, 2])
def test_calls_inside_of_the_region_of_another_library(run_python, compile_library, levels):
    library = compile_library(IN_REGION, "-fopenmp")
    printed = run_python(
        "import ctypes\n"
        "import numpy as np\n"
        "import fastlogit\n"
        "from reference import FUNCTIONS, bits\n"
        "x = np.linspace(0.01, 0.99, 300_000)\n"
        "calls = [call for function in FUNCTIONS.values() for call in (function.call, function.ufunc)]\n"
        "calls += [fastlogit.softmax, lambda x: fastlogit.logsumexp(x.reshape(300, -1), 1, b=x[:1000])]\n"
        "calls += [lambda x: fastlogit.binary_cross_entropy_with_logits(x, x)]\n"
        "calls += [lambda x: fastlogit.cross_entropy(x.reshape(300, -1), np.arange(300))]\n"
        "with fastlogit.num_threads(1):\n"
        "    expected = [bits(call(x)) for call in calls]\n"
        "seen = []\n"
        "def work(number):\n"
        "    results = [bits(call(x)) for call in calls]\n"
        "    if all(map(np.array_equal, results, expected)):\n"
        "        seen.append(number)\n"
        f"region = ctypes.CDLL({str(library)!r}).in_region\n"
        "fastlogit.set_num_threads(3)\n"
        "for threads in (1, 2, 5):\n"
        "    seen.clear()\n"
        f"    region(threads, {levels}, ctypes.CFUNCTYPE(None, ctypes.c_int)(work))\n"
        "    work(threads)\n"
        "    print(*sorted(seen))\n"
    )
    assert printed.splitlines() == ["0 1", "0 1 2", "0 1 2 3 4 5"]


# Threads that cannot be started

LIMITED = """if True:
    import warnings
    import numpy as np
    import fastlogit
    from reference import bits

    x = np.linspace(-20, 20, 300_000)
    with fastlogit.num_threads(1):
        expected = bits(fastlogit.expit(x))

    def call():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for function in (fastlogit.expit, fastlogit.ufuncs.expit):
                assert np.array_equal(bits(function(x)), expected)
        return [(warning.category, str(warning.message)) for warning in caught]
"""


def forbid_threads(resource_name, code):
    """The code, with a limit that leaves this process no room for as many threads as it wants."""
    if resource_name == "RLIMIT_NPROC":
        # Root is not limited, so the process becomes somebody else, who runs nothing but this.
        return (
            "    import os, resource\n"
            "    resource.setrlimit(resource.RLIMIT_NPROC, (3, 3))\n"
            "    if os.getuid() == 0:\n"
            "        os.setuid(54321)\n" + code
        )
    return (
        "    import resource\n"
        "    size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "    limit = size + 40 * 2**20\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n" + code
    )


@needs_openmp
@needs_linux
@pytest.mark.parametrize(
    ("limit", "stack"), [("RLIMIT_NPROC", None), ("RLIMIT_AS", "16M"), ("RLIMIT_AS", "1G")]
)
def test_threads_that_cannot_be_started(run_python, limit, stack):
    """libgomp would end the process; a call runs on fewer threads, and says so once."""
    if limit == "RLIMIT_NPROC" and os.getuid() != 0:
        pytest.skip("the processes of this user are not counted here: needs root, who becomes another user")
    printed = run_python(
        LIMITED
        + forbid_threads(
            limit,
            "    caught = call()\n"
            "    assert [category for category, _ in caught] == [RuntimeWarning], caught\n"
            "    assert 'of 8 threads' in caught[0][1]\n"
            "    assert 1 <= fastlogit.get_num_threads() <= 3\n"
            "    assert call() == []\n"
            "    with fastlogit.num_threads(1):\n"
            "        assert call() == []\n"
            "    print('done')\n",
        ),
        OMP_NUM_THREADS="8",
        OPENBLAS_NUM_THREADS="1",
        OMP_STACKSIZE=stack,
    )
    assert printed == "done\n"


@pytest.mark.parametrize(
    ("variables", "size"),
    [
        ({}, 0),
        ({"OMP_STACKSIZE": "100"}, 100 * 2**10),
        ({"OMP_STACKSIZE": "100B"}, 100),
        ({"OMP_STACKSIZE": " 64 k "}, 64 * 2**10),
        ({"OMP_STACKSIZE": "2M", "GOMP_STACKSIZE": "5"}, 2**21),
        ({"GOMP_STACKSIZE": "1g"}, 2**30),
        ({"OMP_STACKSIZE": "nonsense"}, 0),
        ({"OMP_STACKSIZE": "-1"}, 0),
    ],
)
def test_size_of_stacks(variables, size):
    assert stack_bytes(variables) == size


# How idle threads wait


@needs_linux
@pytest.mark.parametrize("name", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_environment_is_left_alone(run_python, name):
    """Also by the import: what it sets for libgomp is gone when it is done, and the user's word counts."""
    code = (
        "import os\n"
        "before = dict(os.environ)\n"
        "import fastlogit\n"
        "assert dict(os.environ) == before\n"
        "from fastlogit._runtime import SPINS\n"
        "print(SPINS > 0, os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))\n"
    )
    unset = {"GOMP_SPINCOUNT": None, "OMP_WAIT_POLICY": None}
    assert run_python(code, **unset) == "True None None\n"
    value = "17" if name == "GOMP_SPINCOUNT" else "passive"
    said = run_python(code, **(unset | {name: value})).split()
    assert said[0] == "False"
    assert value in said


def test_threads_stay_awake_for_long_enough():
    """Longer than _waking.h believes, however short a pause of the processor is; and not for long."""
    assert [spins_for(ns) for ns in (0, 9, 10, 27, 50)] == [1000, 3000, 2700, 1000, 1000]
    for ns in np.linspace(1, 200, 400):
        assert 20_000 < ns * spins_for(ns) < 201_000


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
    fastlogit.set_num_threads(2)
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


def run_together(works):
    """All at once, each in a Python thread of its own; what one of them raises is raised."""
    with concurrent.futures.ThreadPoolExecutor(len(works)) as pool:
        start = threading.Barrier(len(works))

        def begin(work):
            start.wait()
            work()

        for future in [pool.submit(begin, work) for work in works]:
            future.result()


def gradient_of_the_binary_loss(x, out):
    fastlogit.binary_cross_entropy_with_logits(x, np.zeros(x.shape, bool), grad=out)


def gradient_of_the_loss_of_classes(x, out):
    fastlogit.cross_entropy(x, 5, grad=out)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_python_threads_on_parts_of_one_array(dtype):
    """64 of them write parts that share cache lines; what is not theirs they leave."""
    fastlogit.set_num_threads(2)
    calls = [function.call for function in FUNCTIONS.values()]
    calls += [lambda x, out, f=f: f(x, -1, out=out) for f in (fastlogit.softmax, fastlogit.log_softmax)]
    calls += [gradient_of_the_binary_loss, gradient_of_the_loss_of_classes]
    x = np.resize(FUNCTIONS["logit"].inputs(5000, dtype), 64 * 20_011)
    cuts = [slice(k * 20_011, (k + 1) * 20_011) for k in range(64)]
    for parts in (cuts, [slice(k, None, 64) for k in range(64)]):
        for call in calls:
            expected, got = x.copy(), x.copy()
            for part in parts:
                call(expected[part], out=expected[part])
            works = [
                functools.partial(lambda call, part: call(part, out=part), call, got[part]) for part in parts
            ]
            run_together(works)
            np.testing.assert_array_equal(bits(got), bits(expected))


def test_many_python_threads_read_one_input():
    fastlogit.set_num_threads(2)
    x = FUNCTIONS["expit"].inputs(60_000, "float64")[:60_000]
    functions = [
        fastlogit.expit,
        fastlogit.softmax,
        lambda x: fastlogit.binary_cross_entropy_with_logits(x, target, reduction="none"),
        lambda x: fastlogit.cross_entropy(x.reshape(600, -1), labels, reduction="none"),
    ]
    target, labels = x > 0, np.arange(600) % 100
    expected = {function: bits(function(x)) for function in functions}
    before = x.tobytes()

    def work():
        for function, result in expected.items():
            np.testing.assert_array_equal(bits(function(x)), result)

    run_together([work] * 64)
    assert x.tobytes() == before


@needs_openmp
def test_numbers_of_threads_set_at_once():
    """Calls in the midst of it are right, and a block that a thread is in holds for it."""
    x = FUNCTIONS["expit"].inputs(60_000, "float32")
    expected = bits(fastlogit.expit(x))

    def set_numbers(first):
        for n in range(200):
            fastlogit.set_num_threads((first + n) % 4 + 1)
            assert 1 <= fastlogit.get_num_threads() <= 4

    def compute():
        for n in range(100):
            with fastlogit.num_threads(n % 3 + 5):
                np.testing.assert_array_equal(bits(fastlogit.expit(x)), expected)
                assert fastlogit.get_num_threads() == n % 3 + 5
            np.testing.assert_array_equal(bits(fastlogit.expit(x)), expected)

    run_together([lambda k=k: set_numbers(k) for k in range(4)] + [compute] * 4)


@needs_openmp
def test_limits_of_threadpoolctl_in_some_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    x = FUNCTIONS["expit"].inputs(60_000, "float64")
    expected = bits(fastlogit.softmax(x))
    if fastlogit.get_num_threads() == 1:
        pytest.skip("one thread is the default: a limit of one cannot be told from none")
    fastlogit.set_num_threads(3)

    def limited():
        with threadpoolctl.threadpool_limits(limits=1, user_api="openmp"):
            assert fastlogit.get_num_threads() == 1
            np.testing.assert_array_equal(bits(fastlogit.softmax(x)), expected)

    def unlimited():
        for _ in range(50):
            np.testing.assert_array_equal(bits(fastlogit.softmax(x)), expected)

    run_together([limited] + [unlimited] * 4)
