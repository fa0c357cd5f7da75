"""Sizes that only the speed depends on: with any of them, every result has the same bits.

``benchmarks/tune.py`` measures which are best on a processor. ``FASTLOGIT_TUNING`` overrides them, for that
and for the tests.
"""

import os

DEFAULTS = {
    # Bytes of a contiguous array that are asked for before they are computed; 0 for none. Without, float32
    # expit of 2^24 elements took 1.9 times as long on an Intel Xeon. On AMD it makes 5 % either way.
    "ahead": 4096,
    # Bytes of a result, of softmax or log_softmax into another array, from which on it is written past the
    # caches.
    "streamed": 3 << 20,
    # Bytes of the terms of one slice of softmax, or of those side by side, up to which they are kept, where
    # they are stored in their places; a 16th of it where they are copied. More are computed once more.
    "kept": 1 << 25,
    # Times the smallest call that may use threads, for which one of them needs 3 to 11 us: from so many on a
    # call wakes up threads that sleep. That takes 50 to 150 us and saves half of the call. 0: always.
    "waking": 50,
}


def read(setting: str) -> dict[str, int]:
    """All sizes, some of them set by a text such as ``"ahead=2048 kept=1048576"``."""
    sizes = dict(DEFAULTS)
    for item in setting.split():
        name, _, value = item.partition("=")
        if name not in DEFAULTS or not value.isdecimal() or len(value) > 18:
            raise ImportError(
                f"FASTLOGIT_TUNING={setting!r}: {item!r} is no size; write, for example, "
                f"{' '.join(f'{name}={size}' for name, size in DEFAULTS.items())!r}"
            )
        sizes[name] = int(value)
    return sizes


SIZES = read(os.environ.get("FASTLOGIT_TUNING", ""))
