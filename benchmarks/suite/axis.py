"""Speed of softmax, log_softmax and logsumexp."""

import numpy as np

import fastlogit

from .inputs import ALL_THREADS, DTYPES, QUICK, THREADS, drawn, is_too_large

FUNCTIONS = {
    "softmax": fastlogit.softmax,
    "log_softmax": fastlogit.log_softmax,
    "logsumexp": fastlogit.logsumexp,
}

SMALL = {
    "short rows": ((1024, 16), -1),
    "long rows": ((4, 16384), -1),
    "middle axis": ((8, 100, 32), 1),
    "axis 0": ((256, 100), 0),
}
LARGE = {
    "8192×1000": ((8192, 1000), -1),
    "8192×1000, axis 0": ((8192, 1000), 0),
    "64×1000×128, middle axis": ((64, 1000, 128), 1),
    "262144×16": ((262144, 16), -1),
    "1048576×4": ((2**20, 4), -1),
    "128×65536": ((128, 65536), -1),
    "one row of 2^24": ((2**24,), 0),
    "65536×1024": ((2**16, 1024), -1),
}
SHAPES = SMALL if QUICK else LARGE

# How an array of a shape lies in memory.
STRIDED = {
    "transposed": lambda shape, dtype: np.zeros(shape[::-1], dtype).T,
    "[::-1] of every axis": lambda shape, dtype: np.flip(np.zeros(shape, dtype)),
    "columns of a wider array": lambda shape, dtype: np.zeros((shape[0], shape[1] + 64), dtype)[:, :-64],
    "unaligned": lambda shape, dtype: np.ndarray(
        shape, dtype, np.zeros(np.prod(shape) * np.dtype(dtype).itemsize + 1, np.uint8), offset=1
    ),
    "[:, ::2]": lambda shape, dtype: np.zeros((shape[0], 2 * shape[1]), dtype)[:, ::2],
    "[::2, ::2]": lambda shape, dtype: np.zeros((2 * shape[0], 2 * shape[1]), dtype)[::2, ::2],
}


class Calls:
    """On one slice: a call is too short for the clock, so a thousand of them."""

    params = (list(FUNCTIONS), DTYPES, [8, 100, 1000])
    param_names = ("function", "dtype", "elements")

    def setup(self, function, dtype, elements):
        self.call = FUNCTIONS[function]
        self.x = drawn(dtype, (elements,))

    def time_1000_calls(self, function, dtype, elements):
        for _ in range(1000):
            self.call(self.x)


class Slices:
    """All arrays are there already, and their input is put back, before a call is timed."""

    param_names = ("function", "dtype", "slices", "threads")
    number = 1
    warmup_time = 0.02

    def setup(self, function, dtype, slices, threads):
        shape, self.axis = SHAPES[slices]
        if is_too_large(np.prod(shape), dtype):
            raise NotImplementedError("this machine has too little memory")
        fastlogit.set_num_threads(ALL_THREADS if threads == "all" else 1)
        self.call = FUNCTIONS[function]
        if getattr(self, "x", None) is None:
            self.x = np.zeros(shape, dtype)
            self.out = np.zeros(np.delete(shape, self.axis) if function == "logsumexp" else shape, dtype)
        np.copyto(self.x, drawn(dtype, shape))


class AnotherArray(Slices):
    params = (list(FUNCTIONS), DTYPES, list(SHAPES), THREADS)

    def time_preallocated(self, function, dtype, slices, threads):
        self.call(self.x, self.axis, out=self.out)

    def time_new_array(self, function, dtype, slices, threads):
        self.call(self.x, self.axis)


class InPlace(Slices):
    params = (["softmax", "log_softmax"], DTYPES, list(SHAPES), THREADS)

    def time_in_place(self, function, dtype, slices, threads):
        self.call(self.x, self.axis, out=self.x)


class Strided:
    params = (
        ["softmax", "log_softmax"],
        DTYPES,
        list(STRIDED),
        [-1, 0],
        THREADS,
    )
    param_names = ("function", "dtype", "layout", "axis", "threads")
    number = 1
    warmup_time = 0.02

    def setup(self, function, dtype, layout, axis, threads):
        shape = (256, 100) if QUICK else (4096, 1000)
        fastlogit.set_num_threads(ALL_THREADS if threads == "all" else 1)
        self.call = FUNCTIONS[function]
        if getattr(self, "x", None) is None:
            self.x = STRIDED[layout](shape, dtype)
        np.copyto(self.x, drawn(dtype, shape))

    def time_in_place(self, function, dtype, layout, axis, threads):
        self.call(self.x, axis, out=self.x)
