"""What fastlogit promises, held against what was measured; the bounds are those of tests/reference.py."""

from reference import AXIS_BOUND_ULP, BOUND_ULP


def broken(results):
    """A sentence for every promise that does not hold."""
    return [*_too_large(results), *_out_of_order(results), *_not_identical(results)]


def _fastlogit(results):
    for key, libraries in results["errors"].items():
        dtype, function = key.split()
        for library, errors in libraries.items():
            if library.startswith("fastlogit "):
                yield function, dtype, library, errors


def _too_large(results):
    for function, dtype, library, errors in _fastlogit(results):
        where = f"{function} {dtype}, {library}"
        if errors["failed"]:
            yield f"{where}: {errors['failed']} results are not finite, as at {errors['failed_at']}"
        for entry in errors["worst"][:1]:
            bound = BOUND_ULP.get((function, dtype))
            holds = entry["ulp"] <= AXIS_BOUND_ULP if bound is None else entry["ulp"] < bound
            if not holds:
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
