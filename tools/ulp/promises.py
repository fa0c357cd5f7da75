"""What fastlogit promises, held against what was measured.

The bounds are those of tests/reference.py, and of the losses what is derived (`ulp.derived`), but no more
than the bounds of tests/loss_reference.py.
"""

from math import inf

from reference import CORRECTLY_ROUNDED, LARGEST_ROW_ULP, LARGEST_ULP

from ulp import bounds, derived
from ulp.libraries import ROW_FUNCTIONS
from ulp.loss_exhaustion import CALL, KEYS
from ulp.losses import CALLS, QUANTITIES


def broken(results):
    """A sentence for every promise that does not hold."""
    return [
        *_not_measured(results),
        *_too_large(results),
        *_out_of_order(results),
        *_not_identical(results),
    ]


def _not_measured(results):
    """What the settings ask for and the results do not have: nothing measured is nothing kept."""
    settings = results["settings"]
    builds = [name for name in settings["libraries"] if name.startswith("fastlogit ")]
    if not builds:
        yield "no build of fastlogit was measured"
    dtypes = [part for part in settings["parts"] if part in ("float32", "float64")]
    wanted = {f"{dtype} {name}" for dtype in dtypes for name in settings["functions"]}
    if "rows" in settings["parts"]:
        wanted |= {f"{dtype} {name}" for dtype in ("float32", "float64") for name in ROW_FUNCTIONS}
    compared = set(wanted)
    if "losses" in settings["parts"]:
        wanted |= {f"{dtype} {name}" for dtype in ("float32", "float64") for name in QUANTITIES}
        wanted |= {f"float32 {name}" for name in KEYS}
        compared |= {f"{dtype} {name}" for dtype in ("float32", "float64") for name in CALLS}
        compared.add(f"float32 {CALL}")
    for key in sorted(wanted | compared):
        dtype, function = key.split()
        for build in builds if key in wanted else ():
            if not results["errors"].get(key, {}).get(build, {}).get("inputs"):
                yield f"{function} {dtype}, {build}: not measured"
        bits = results["comparisons"].get(dtype, {}).get(f"{function}: the bits of v4 and v3", {})
        both = {"fastlogit v3", "fastlogit v4"} <= set(builds)
        if key in compared and both and not bits.get("inputs"):
            yield f"{function} {dtype}: the bits of v4 and v3 were not compared"
    if "identities" in settings["parts"]:
        for dtype in ("float32", "float64"):
            phrases = [phrase for phrase in results["comparisons"].get(dtype, {}) if "expit(-x)" in phrase]
            for build in builds:
                if not any(phrase.endswith(build) for phrase in phrases):
                    yield f"the identities in {dtype}, {build}: not measured"


def _fastlogit(results):
    for key, libraries in results["errors"].items():
        dtype, function = key.split()
        for library, errors in libraries.items():
            if library.startswith("fastlogit "):
                yield function, dtype, library, errors


def _largest(function, dtype, library, results, proofs):
    if (function, dtype) in LARGEST_ULP | LARGEST_ROW_ULP:
        return (LARGEST_ULP | LARGEST_ROW_ULP)[function, dtype]
    if function in KEYS:  # what bounds are made of: they are in no other way too large
        as_labels = function.replace("/every/", "/labels/")
        return derived.contract(as_labels) if as_labels in QUANTITIES else inf
    return derived.promise(function, dtype, library, proofs, results)


def _too_large(results):
    proofs = bounds.saved_proofs()
    for function, dtype, library, errors in _fastlogit(results):
        where = f"{function} {dtype}, {library}"
        if errors["failed"]:
            yield f"{where}: {errors['failed']} results are not finite, as at {errors['failed_at']}"
        if (function, dtype) in CORRECTLY_ROUNDED and errors["misrounded"]:
            yield f"{where}: {errors['misrounded']} results are not correctly rounded"
        for entry in errors["worst"][:1]:
            if entry["ulp"] > _largest(function, dtype, library, results, proofs):
                yield f"{where}: {entry['ulp']:.4f} ulp at {entry['input']}"


def _out_of_order(results):
    """Only float32 promises order: in float64 two results next to each other may change places."""
    for function, dtype, library, errors in _fastlogit(results):
        if dtype == "float32" and errors["unordered"]:
            yield f"{function} {dtype}, {library}: {errors['unordered']} neighbours in the wrong order"


def _not_identical(results):
    """Comparisons without a size are of bits, which have to be the same."""
    for dtype, comparisons in results["comparisons"].items():
        for phrase, compared in comparisons.items():
            if compared["largest"] is None and compared["differing"]:
                number, where = compared["differing"], compared["where"]
                yield f"{dtype}, {phrase}: different at {number} inputs, as at {where}"
