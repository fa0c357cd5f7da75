"""ufuncs.clamped_logit(eps): one ufunc for each eps, as long as anyone holds it, and no longer."""

import gc
import pickle
import threading

import numpy as np
import pytest
from memory import MEGABYTE, needs_linux
from reference import same_bits

from fastlogit import logit, ufuncs

pytestmark = pytest.mark.once

X = np.array([0.0, 0.3, 1.0])


def many(n):
    """Values of eps that no other test uses."""
    return np.random.default_rng(17).uniform(0.01, 0.5, n).tolist()


@needs_linux
def test_many_eps_take_no_memory(run_python):
    """Scalars, lists and containers go through a ufunc: it was kept for ever, 3.6 kB each."""
    grew = run_python(
        """if True:
    import numpy as np
    from memory import resident_peak

    from fastlogit import logit, ufuncs

    def use(values):
        for eps in values:
            logit(0.3, eps)
            logit([0.0, 1.0], eps)
            ufuncs.clamped_logit(eps)

    values = np.random.default_rng(0).uniform(0, 0.5, 22_000).tolist()
    use(values[:2000])
    before = resident_peak()
    use(values[2000:])
    print(resident_peak() - before)
    """
    )
    assert int(grew) < 2 * MEGABYTE


def test_ufuncs_in_use_stay_the_only_ones_of_their_eps():
    values = many(2000)
    held = {eps: ufuncs.clamped_logit(eps) for eps in values[:400]}
    expected = {eps: ufunc(X).tobytes() for eps, ufunc in held.items()}
    for eps in values[400:]:
        ufuncs.clamped_logit(eps)
    for eps, ufunc in held.items():
        assert ufuncs.clamped_logit(eps) is ufunc
        assert pickle.loads(pickle.dumps(ufunc)) is ufunc
        assert ufunc(X).tobytes() == expected[eps]


def test_an_eps_comes_back_after_its_ufunc_was_let_go():
    first, *others = many(1000)
    text = pickle.dumps(ufuncs.clamped_logit(first))
    expected = logit(X, first)
    for eps in others:
        ufuncs.clamped_logit(eps)
    same_bits(pickle.loads(text)(X), expected)
    same_bits(np.asarray(logit([0.0, 0.3, 1.0], first)), expected)


def test_a_ufunc_at_work_outlives_its_place_among_the_others():
    """An operand that runs code while the ufunc computes lets all others go."""
    values = many(600)

    class Greedy:
        def __array__(self, dtype=None, copy=None):
            for eps in values[1:]:
                ufuncs.clamped_logit(eps)
            gc.collect()
            return X.copy()

    for _ in range(20):
        same_bits(ufuncs.clamped_logit(values[0])(Greedy()), logit(X, values[0]))
        same_bits(np.asarray(logit(Greedy(), values[0])), logit(X, values[0]))


def test_threads_that_make_and_drop_ufuncs():
    values = many(900)
    expected = {eps: logit(X, eps).tobytes() for eps in values}
    wrong = []

    def work(seed):
        for place in np.random.default_rng(seed).permutation(len(values)):
            ufunc = ufuncs.clamped_logit(values[place])
            same = pickle.loads(pickle.dumps(ufunc)) is ufunc
            if not same or ufunc(X).tobytes() != expected[values[place]]:
                wrong.append(values[place])

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("eps", "name"),
    [
        (0.0, "logit(x, eps=0e-1)"),
        (-0.0, "logit(x, eps=0e-1)"),
        (0.5, "logit(x, eps=5e-1)"),
        (1e-6, "logit(x, eps=1e-6)"),
        (0.0625, "logit(x, eps=625e-4)"),
        (5e-324, "logit(x, eps=5e-324)"),
        (1.2345e-300, "logit(x, eps=12345e-304)"),
    ],
)
def test_its_name_is_the_call_that_it_stands_for(eps, name):
    ufunc = ufuncs.clamped_logit(eps)
    assert ufunc.__name__ == name
    assert getattr(ufuncs, name) is ufunc


def test_every_name_means_one_eps():
    for eps in [*many(500), *np.exp2(-np.random.default_rng(1).uniform(1, 1074, 500)).tolist()]:
        ufunc = ufuncs.clamped_logit(eps)
        assert pickle.loads(pickle.dumps(ufunc)) is ufunc
        assert f"eps = {eps!r}" in ufunc.__doc__


def test_messages_of_others_know_no_internal_name():
    with pytest.raises(TypeError) as caught:
        ufuncs.clamped_logit(1e-6)(np.array([1j]))
    assert "logit(x, eps=1e-6)" in str(caught.value)
    assert "clamped" not in str(caught.value)


@pytest.mark.parametrize("eps", [True, False, np.True_])
def test_flags_are_no_eps(eps):
    with pytest.raises(TypeError, match="clamped_logit: eps must be a number"):
        ufuncs.clamped_logit(eps)
