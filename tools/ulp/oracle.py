"""Correctly rounded results and errors of whole arrays.

A formula in a wider type (tests/reference.py) says what the exact result is, but for its own roundings:
UNCERTAINTY bounds them. An error in units in the last place is therefore known to within it, and so is on
which side of the middle between two floats a result lies, unless it lies within it: those inputs, and those
that could have one of the largest errors, go to MPFR. Nothing that is counted or listed rests on the
wider type where it could be in doubt.

UNCERTAINTY is several times what the operations of a formula can add up to if each function of the wider
type is within 4 ulp of its own, which the C library lists (Known Maximum Errors, glibc manual) and NumPy
requires of its own loops for exp, log and log1p. Random inputs of every block are compared with MPFR, and one
that is off by more than half of UNCERTAINTY stops the run.
"""

import numpy as np
import reference as formulas

from ulp import mpfr

WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}

# In units in the last place of the result's type: 32 ulp of float64, and 16 ulp of the long double with
# 64 bits.
UNCERTAINTY = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-7}

CONTROLS = 8  # inputs of a block that MPFR checks the wider type with


class Oracle:
    """The exact results of one function for a block of inputs.

    Attributes
    ----------
    nearest : array of the inputs' type
        The correctly rounded results.
    wide : array of a wider type
        The results, each within `UNCERTAINTY` of the exact one.
    unit : array of the wider type
        One unit in the last place of the exact result. Where it is within `UNCERTAINTY` of a power of
        two, the smaller one of the two possible units, so that no error comes out too small.
    control_error : float
        The largest error of `wide` at the inputs that were checked, in units in the last place.
    """

    def __init__(self, name, x, rng, controls=CONTROLS):
        self.name, self.x = name, x
        self.uncertainty = UNCERTAINTY[x.dtype]
        with np.errstate(all="ignore"):
            self.wide = formulas.FUNCTIONS[name].exact(x, WIDER[x.dtype])
            self.nearest = self.wide.astype(x.dtype)
            self.unit = self._unit()
            in_doubt = np.abs(self.wide - self.nearest) > (0.5 - self.uncertainty) * self.unit
        for index in np.flatnonzero(in_doubt):
            self.nearest[index] = mpfr.nearest(name, x[index])
        self.control_error = self._checked(rng.integers(0, x.size, controls))

    def _unit(self):
        size = np.abs(self.nearest)
        unit = np.spacing(size)
        unit = unit.astype(self.wide.dtype)
        info = np.finfo(size.dtype)
        powers = np.flatnonzero(formulas.bits(size) << (info.bits - info.nmant) == 0)
        if powers.size:
            smallest = self.wide.dtype.type(info.smallest_subnormal)
            below = np.abs(self.wide[powers]) <= size[powers] + self.uncertainty * unit[powers]
            unit[powers] = np.where(below, np.maximum(unit[powers] / 2, smallest), unit[powers])
        return unit

    def _checked(self, indices):
        largest = 0.0
        for index in indices:
            x, wide = self.x[index], self.wide[index]
            exact = mpfr.value(self.name, x)
            if not np.isfinite(wide) or exact == 0:
                agrees = float(exact) == wide or (np.isnan(wide) and exact.is_nan())
                error = 0.0 if agrees else np.inf
            else:
                error = mpfr.distance(exact, wide, x.dtype)
            if error > self.uncertainty / 2:
                raise ArithmeticError(
                    f"{self.name}({float(x).hex()}) in {np.dtype(wide.dtype).name} is {error:.3g} ulp of "
                    f"{x.dtype.name} from what MPFR gives, and ulp.oracle.UNCERTAINTY allows half of "
                    f"{self.uncertainty:.3g}: the C library or NumPy is less accurate here; raise it"
                )
            largest = max(largest, error)
        return largest

    def error(self, got):
        """Upper estimates of the errors, in units in the last place: too large by `uncertainty` at most,
        or by a factor of two beside a power of two. inf where one of the two is not finite and the other is.
        """
        with np.errstate(all="ignore"):
            error = (np.abs(got - self.wide) / self.unit).astype(np.float64)
        special = np.flatnonzero(~(error < np.inf))
        if special.size:
            got, nearest = got[special], self.nearest[special]
            same = (got == nearest) | (np.isnan(got) & np.isnan(nearest))
            error[special] = np.where(same, 0, np.inf)
        return error
