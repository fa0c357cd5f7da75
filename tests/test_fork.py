"""A forked child never hangs, whatever was imported and used before, computes right, and on all its threads.

Each scene is a process of its own, with a time limit for it and for each child.
"""

import os
import sys

import pytest

from fastlogit._build_config import OPENMP

pytestmark = [
    pytest.mark.skipif(not OPENMP, reason="this build has no OpenMP and one thread only"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.once,
]

SCENE = """if True:
    import ctypes
    import mmap
    import os
    import signal
    import sys
    import threading
    import traceback
    import warnings
    import numpy as np

    SECONDS = 60
    PAGES = 4096
    THREADS = int(os.environ["OMP_NUM_THREADS"])
    x = np.linspace(-20, 20, 300_000)
    signal.alarm(SECONDS)
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: threads and fork()

    def minor_faults():
        with open(f"/proc/self/task/{threading.get_native_id()}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[7])

    def share():
        '''Of so many threads this one does the work of one: the first to write to a page takes the fault.'''
        import fastlogit
        memory = mmap.mmap(-1, PAGES * mmap.PAGESIZE)
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        out = np.frombuffer(memory, "f8")
        y = np.full(out.shape, 0.25)
        fastlogit.expit(y, out=y)  # starts the threads
        before = minor_faults()
        fastlogit.expit(y, out=out)
        return round(PAGES / (minor_faults() - before))

    def check(threads=THREADS):
        '''Every kernel on several threads gives the bits that it gives on one.'''
        import fastlogit
        from reference import FUNCTIONS
        calls = [function.call for function in FUNCTIONS.values()]
        calls += [function.ufunc for function in FUNCTIONS.values()]
        calls += [lambda x: fastlogit.softmax(x.reshape(300, -1), 1), lambda x: fastlogit.logsumexp(x, b=x)]
        loss, classes = fastlogit.binary_cross_entropy_with_logits, fastlogit.cross_entropy
        calls += [lambda x: loss(x, x > 0), lambda x: classes(x.reshape(300, -1), np.arange(300))]
        for call in calls:
            for dtype in ("float32", "float64"):
                several = call(x.astype(dtype))
                with fastlogit.num_threads(1):
                    assert call(x.astype(dtype)).tobytes() == several.tobytes()
        fastlogit.ufuncs.expit(x.astype(np.longdouble))
        assert fastlogit.get_num_threads() == threads
        assert share() == threads, share()

    def fork_and(action, fork=os.fork):
        sys.stdout.flush()
        child = fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(SECONDS)
                action()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        status = os.waitpid(child, 0)[1]
        assert status == 0, status

    def in_thread(action):
        '''An alarm ends the process if it hangs, so the thread need not be watched.'''
        done = []
        def work():
            action()
            done.append(True)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert done == [True]

    def use_torch():
        y = torch.full((2**20,), 0.5)
        assert bool((torch.sigmoid(y) == torch.sigmoid(y[0])).all())
"""


@pytest.fixture(params=[2, 3])
def play(request, run_python):
    def run(scene, **variables):
        lines = "\n".join("    " + line for line in scene.strip("\n").splitlines())
        printed = run_python(
            SCENE + lines + "\n    print('done')\n", OMP_NUM_THREADS=str(request.param), **variables
        )
        assert printed.splitlines()[-1] == "done"
        return printed

    return run


@pytest.fixture
def play_with_torch(play):
    pytest.importorskip("torch", reason="PyTorch is not installed: its threads were not forked")
    return lambda scene: play("import torch\ntorch.set_num_threads(THREADS)\n" + scene)


def test_child_and_grandchild(play):
    play("""
check()
fork_and(check)
fork_and(lambda: fork_and(check))
fork_and(lambda: (check(), fork_and(check), check()))
check()
""")


def test_first_use_in_the_child(play):
    play("""
import fastlogit
fork_and(check)
check()
""")


def test_number_set_before_the_fork_counts_in_the_child(play):
    play("""
import fastlogit
fastlogit.set_num_threads(4)
check(4)
fork_and(lambda: check(4))
with fastlogit.num_threads(2):
    fork_and(lambda: check(2))
check(4)
""")


@pytest.mark.parametrize("name", ["fork", "_Fork"])
def test_fork_outside_of_python(play, name):
    """_Fork calls no handlers of pthread_atfork either: OpenBLAS, if it has threads, does not survive it."""
    play(
        f"""
fork = getattr(ctypes.PyDLL(None), {name!r}, None)
if fork is not None:
    check()
    fork_and(check, fork)
    fork_and(lambda: fork_and(check, fork), fork)
    fork_and(lambda: fork_and(check), fork)
    fork_and(lambda: in_thread(lambda: fork_and(check)), fork)
    check()
""",
        OPENBLAS_NUM_THREADS="1",
    )


def test_fork_in_a_thread(play):
    play("""
check()
in_thread(lambda: fork_and(check))
in_thread(lambda: (check(), fork_and(lambda: (check(), in_thread(check), fork_and(check))), check()))
check()
""")


def test_fork_while_another_thread_computes(play):
    play("""
import fastlogit
stop = threading.Event()
started = threading.Event()
def compute():
    y = np.full(2**20, 0.25)
    while not stop.is_set():
        fastlogit.expit(y, out=y)
        started.set()
thread = threading.Thread(target=compute)
thread.start()
started.wait()
try:
    for _ in range(5):
        fork_and(check)
finally:
    stop.set()
    thread.join()
check()
""")


def test_many_children(play):
    play("""
import fastlogit
for _ in range(50):
    fork_and(lambda: fastlogit.expit(x))
    fastlogit.expit(x)
""")


# The runtime has been used by somebody else before


def test_first_import_in_the_child(play_with_torch):
    play_with_torch("""
use_torch()
assert "fastlogit" not in sys.modules
fork_and(check)
fork_and(lambda: fork_and(check))
fork_and(lambda: (check(), use_torch(), fork_and(lambda: (check(), use_torch()))))
fork_and(lambda: (in_thread(check), check()))
fork_and(lambda: (in_thread(check), fork_and(check)))
fork_and(lambda: in_thread(lambda: fork_and(check)))
""")


def test_first_import_in_the_child_of_a_thread(play_with_torch):
    play_with_torch("""
in_thread(lambda: (use_torch(), fork_and(lambda: (check(), in_thread(check), fork_and(check)))))
fork_and(check)
""")


@pytest.mark.parametrize("first", ["import fastlogit", ""])
def test_other_libraries_have_their_threads_in_the_child(play_with_torch, first):
    play_with_torch(f"""
use_torch()
{first}
check()
fork_and(lambda: (use_torch(), check(), use_torch()))
use_torch()
check()
""")


# A fork inside of a parallel region

IN_REGION = """
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
/* The status of a child that leaves the region of one thread in which it was forked, and then calls. */
int fork_in_region(int (*call)(void))
{
    pid_t child;
    int status = -1;
    #pragma omp parallel num_threads(2)
    {}
    #pragma omp parallel num_threads(1)
    child = fork();
    if (child == 0)
        _exit(call());
    waitpid(child, &status, 0);
    return status;
}
"""


def test_fork_inside_of_a_region(play, compile_library):
    """Nothing can be done about the pool there; the child stays serial, and says so."""
    library = compile_library(IN_REGION, "-fopenmp")
    play(f"""
import fastlogit
def serial():
    status = 1
    try:
        signal.alarm(SECONDS)
        check(1)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fastlogit.set_num_threads(2)
        assert [warning.category for warning in caught] == [RuntimeWarning]
        assert "forked inside" in str(caught[0].message)
        check(1)
        status = 0
    except BaseException:
        traceback.print_exc()
    return status
call = ctypes.PYFUNCTYPE(ctypes.c_int)(serial)
assert ctypes.PyDLL({str(library)!r}).fork_in_region(call) == 0
check()
""")


# Pools of processes

POOLS = """if True:
    import os
    import sys
    import numpy as np
    {before}

    def work(seed):
        import fastlogit
        x = np.random.default_rng(seed).normal(size=200_000)
        return fastlogit.get_num_threads(), fastlogit.expit(x).tobytes()

    def test(results):
        results = list(results)
        import fastlogit
        assert [bits for _, bits in results] == [work(seed)[1] for seed in range(6)]
        print("done", {{threads for threads, _ in results}})

    if __name__ == "__main__":
        import signal
        import warnings
        signal.alarm(100)
        warnings.simplefilter("ignore", DeprecationWarning)
        {after}
"""

BEFORE = {
    "nothing": "pass",
    "imported": "import fastlogit",
    "used": "import fastlogit; fastlogit.expit(np.zeros(10**6))",
    "torch": "import torch; torch.sigmoid(torch.zeros(10**6))",
}


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("pool", ["multiprocessing", "concurrent.futures"])
@pytest.mark.parametrize("before", BEFORE)
def test_pools_of_processes(run_python, tmp_path, before, pool, method):
    if before == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed: its threads were not forked")
    code = {
        "multiprocessing": f"import multiprocessing\n"
        f"        with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        f"            test(pool.map(work, range(6)))\n",
        "concurrent.futures": f"import concurrent.futures, multiprocessing\n"
        f"        context = multiprocessing.get_context({method!r})\n"
        f"        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:\n"
        f"            test(pool.map(work, range(6)))\n",
    }[pool]
    script = tmp_path / "script.py"
    script.write_text(POOLS.format(before=BEFORE[before], after=code).replace("if True:\n", "if 1:\n", 1))
    run = f"import os, sys\nos.execv(sys.executable, [sys.executable, {str(script)!r}])"
    assert run_python(run, OMP_NUM_THREADS="2") == "done {2}\n"


@pytest.mark.parametrize("before", ["nothing", "used"])
@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_joblib(run_python, tmp_path, backend, before):
    """It gives each worker its share of the processors, and fastlogit obeys."""
    pytest.importorskip("joblib", reason="joblib is not installed: its pools were not tried")
    code = (
        "import joblib\n"
        f"        test(joblib.Parallel(2, backend={backend!r})(joblib.delayed(work)(k) for k in range(6)))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(POOLS.format(before=BEFORE[before], after=code).replace("if True:\n", "if 1:\n", 1))
    run = f"import os, sys\nos.execv(sys.executable, [sys.executable, {str(script)!r}])"
    assert run_python(run, OMP_NUM_THREADS="2").startswith("done")


# Other users of OpenMP and of threads, before and after

OTHERS = {
    "sklearn": """
from sklearn.ensemble import HistGradientBoostingClassifier
features = np.random.default_rng(0).normal(size=(2000, 5))
def use_other():
    HistGradientBoostingClassifier(max_iter=3).fit(features, features[:, 0] > 0)
""",
    "numexpr": """
import numexpr
numexpr.set_num_threads(THREADS)
def use_other():
    numexpr.evaluate("2 * x", {"x": x})
""",
    # Its OpenMP layer ends a child that uses it, on purpose; in the child only fastlogit is used.
    "numba": """
import os
os.environ["NUMBA_NUM_THREADS"] = str(THREADS)  # which it would set for everybody who uses OpenMP
import numba
@numba.njit(parallel=True)
def twice(x):
    for i in numba.prange(x.size):
        x[i] *= 2
def use_other():
    twice(x.copy())
""",
}


@pytest.mark.parametrize("first", ["import fastlogit", ""])
@pytest.mark.parametrize("name", OTHERS)
def test_other_libraries(play, name, first):
    pytest.importorskip(name, reason=f"{name} is not installed: a fork beside it was not tried")
    play(
        f"""
{first}
{OTHERS[name]}
use_other()
fork_and(check)
check()
use_other()
fork_and(lambda: (check(), fork_and(check)))
in_thread(lambda: (use_other(), fork_and(check)))
check()
use_other()
""",
        NUMBA_THREADING_LAYER="omp",
    )


DATA_LOADER = """
import torch
torch.set_num_threads(THREADS)
{before}
class Scores(torch.utils.data.Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, index):
        import fastlogit
        share() if index == 0 else None
        return fastlogit.expit(np.full(200_000, index / 8.0))
loader = torch.utils.data.DataLoader(Scores(), batch_size=2, num_workers=2, multiprocessing_context="fork")
for _ in range(2):
    batches = [batch.numpy() for batch in loader]
    import fastlogit
    for index, row in enumerate(np.concatenate(batches)):
        assert (row == fastlogit.expit(index / 8.0)).all()
"""


@pytest.mark.parametrize("before", ["import fastlogit; fastlogit.expit(x)", "use_torch()"])
def test_workers_of_a_data_loader(play_with_torch, before):
    play_with_torch(DATA_LOADER.format(before=before))


@pytest.mark.parametrize("before", ["nothing", "used"])
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_of_dask(run_python, tmp_path, method, before):
    pytest.importorskip("dask", reason="dask is not installed: its processes were not tried")
    code = (
        "import dask\n"
        "        settings = {'scheduler': 'processes', 'num_workers': 2, "
        f"'multiprocessing.context': {method!r}}}\n"
        "        with dask.config.set(settings):\n"
        "            test(dask.compute(*(dask.delayed(work)(k) for k in range(6))))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(POOLS.format(before=BEFORE[before], after=code).replace("if True:\n", "if 1:\n", 1))
    run = f"import os, sys\nos.execv(sys.executable, [sys.executable, {str(script)!r}])"
    assert run_python(run, OMP_NUM_THREADS="2").startswith("done")
