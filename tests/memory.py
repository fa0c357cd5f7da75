"""What a process takes of the memory, as the operating system sees it."""

import sys

import pytest

MEGABYTE = 2**20

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def resident_peak():
    """In bytes. getrusage would do, had it not inherited the peak of the process that started this one."""
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
