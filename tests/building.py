"""What tests tell Meson that compile the kernels once more."""

import os
import sys


def machine_files(folder):
    """Arguments of ``meson setup``: this Python, and the compiler for it where it runs under emulation.

    Meson and the compiler then are programs of the machine outside; ``tools/arm64`` has the cross file.
    """
    python = folder / "python.ini"
    python.write_text(f"[binaries]\npython = '{sys.executable}'\n")
    cross_file = os.environ.get("FASTLOGIT_CROSS_FILE")
    return ("--native-file", str(python), *(("--cross-file", cross_file) if cross_file else ()))
