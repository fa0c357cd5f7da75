"""Speed of the elementwise functions."""

import numpy as np

import fastlogit

from .inputs import ALL_THREADS, DTYPES, QUICK, THREADS, cases, drawn, is_too_large, layouts

FUNCTIONS = {case.name: case.call for case in cases.ELEMENTWISE}


class Calls:
    """Into an array that is there already. A call is too short for the clock: a thousand of them."""

    params = (list(FUNCTIONS), DTYPES, [8, 100, 1000] if QUICK else [8, 100, 1000, 10_000])
    param_names = ("function", "dtype", "elements")

    def setup(self, function, dtype, elements):
        self.call = FUNCTIONS[function]
        self.x = drawn(dtype, (elements,))
        self.out = np.zeros_like(self.x)

    def time_1000_calls(self, function, dtype, elements):
        for _ in range(1000):
            self.call(self.x, out=self.out)


class Large:
    """In place: a second call would meet the results of the first, so the input is put back before each."""

    param_names = ("function", "dtype", "layout", "elements", "threads")
    number = 1
    warmup_time = 0.02

    def setup(self, function, dtype, layout, elements, threads):
        if is_too_large(elements, dtype):
            raise NotImplementedError("this machine has too little memory")
        fastlogit.set_num_threads(ALL_THREADS if threads == "all" else 1)
        self.call = FUNCTIONS[function]
        if getattr(self, "x", None) is None:
            self.x = layouts.LAYOUTS[layout](elements, dtype)
        np.copyto(self.x, drawn(dtype, self.x.shape))


class Contiguous(Large):
    params = (
        list(FUNCTIONS),
        DTYPES,
        ["contiguous"],
        [2**15] if QUICK else [2**k for k in (12, 15, 17, 20, 22, 24, 26)],
        THREADS,
    )

    def time_in_place(self, function, dtype, layout, elements, threads):
        self.call(self.x, out=self.x)

    def time_new_array(self, function, dtype, layout, elements, threads):
        self.call(self.x)


class Strided(Large):
    params = (
        list(FUNCTIONS),
        DTYPES,
        [layout for layout in layouts.LAYOUTS if layout != "contiguous"],
        [2**14] if QUICK else [2**22],
        THREADS,
    )

    def time_in_place(self, function, dtype, layout, elements, threads):
        self.call(self.x, out=self.x)
