"""Which processor a figure was measured on, so that no figure stands without its name."""

import os
import platform
from datetime import date
from pathlib import Path

import numpy as np

import fastlogit
from fastlogit import _isa

MAKERS = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel"}
# By maker, family, and first and last model: arch/x86/include/asm/intel-family.h and
# arch/x86/kernel/cpu/amd.c of Linux 6.12.
MICROARCHITECTURES = [
    ("AMD", 25, 0x10, 0x1F, "Zen 4"),
    ("AMD", 25, 0x60, 0xAF, "Zen 4"),
    ("AMD", 25, 0x00, 0x5F, "Zen 3"),
    ("AMD", 26, 0x00, 0x7F, "Zen 5"),
    ("Intel", 6, 0x55, 0x55, "Skylake or Cascade Lake"),
    ("Intel", 6, 0x6A, 0x6A, "Ice Lake"),
    ("Intel", 6, 0x8F, 0x8F, "Sapphire Rapids"),
    ("Intel", 6, 0xAD, 0xAD, "Granite Rapids"),
    ("Intel", 6, 0xCF, 0xCF, "Emerald Rapids"),
]


def processor_fields():
    """The first processor's lines of /proc/cpuinfo, which has none outside Linux."""
    fields = {}
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if not line.strip():
                    break
                name, _, value = line.partition(":")
                fields[name.strip()] = value.strip()
    except OSError:
        pass
    return fields


def bytes_of_caches():
    """By name, L1d, L2 and L3, as Linux tells them; empty where it does not."""
    sizes = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            sizes[f"L{level}{'d' if level == '1' else ''}"] = int(size.removesuffix("K")) * 1024
    return sizes


def microarchitecture(maker, family, model, flags):
    for of_maker, of_family, first, last, name in MICROARCHITECTURES:
        if (maker, family) == (of_maker, of_family) and first <= model <= last:
            return name
    # A hypervisor may give a model of its own. AMX came with Sapphire Rapids.
    if "amx_tile" in flags:
        return "Sapphire Rapids or later"
    return f"family {family}, model {model}"


def describe(threads, versions):
    """All that a reader of the figures may ask, in what JSON can hold.

    ``versions``: of the libraries, by name.
    """
    fields = processor_fields()
    maker = MAKERS.get(fields.get("vendor_id", ""), fields.get("vendor_id", platform.machine()))
    family, model = int(fields.get("cpu family", 0)), int(fields.get("model", 0))
    return {
        "maker": maker,
        "processor": fields.get("model name", platform.processor()),
        "family": family,
        "model": model,
        "microarchitecture": microarchitecture(maker, family, model, fields.get("flags", "").split()),
        "MHz": round(float(fields.get("cpu MHz", 0))),
        "caches": bytes_of_caches(),
        "CPUs": len(os.sched_getaffinity(0)),
        "threads": threads,
        "kernels": _isa.chosen,
        "Python": platform.python_version(),
        "versions": versions,
        "date": date.today().isoformat(),
    }


def versions_of(libraries=()):
    """By name; without libraries of ours and of NumPy."""
    if not libraries:
        return {"fastlogit": fastlogit.__version__, "NumPy": np.__version__}
    return {library.name: library.version for library in libraries}


def name_of(machine):
    """AMD Zen 5, say: short enough for the head of a column."""
    return f"{machine['maker']} {machine['microarchitecture']}"


def sentence(machine):
    """What the figures were measured on, and with."""
    known = [machine["microarchitecture"]]
    if machine["model"]:
        known.append(f"family {machine['family']}, model {machine['model']}")
    if machine["MHz"]:
        known.append(f"{machine['MHz'] / 1000:.1f} GHz as found")
    for name, size in machine["caches"].items():
        known.append(f"{name} {size >> 20} MiB" if size >= 2**20 else f"{name} {size >> 10} KiB")
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['processor']} ({'; '.join(known)}), {machine['CPUs']} CPUs, {machine['threads']} threads, "
        f"{machine['kernels']} kernels, {machine['date']}; Python {machine['Python']}, {versions}"
    )
