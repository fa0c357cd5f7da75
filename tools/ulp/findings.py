"""What is counted and kept, as plain numbers that add up: the findings of two chunks become one.

Inputs and results are kept as hexadecimal floats, which leave no doubt about the number that is meant.
"""

import math
from dataclasses import asdict, dataclass, field, fields

WORST = 10  # inputs that are listed for each function, type and library


@dataclass
class Errors:
    """The errors of one library in one function.

    Attributes
    ----------
    inputs : int
        Inputs that were tried.
    finite : int
        Those whose exact result is finite; the mean is over them.
    misrounded : int
        Results that are not the correctly rounded ones.
    sum : float
        Of all errors in units in the last place.
    failed : int
        Results that are not finite where the exact one is, or the other way round.
    failed_at : str or None
        One input of such a result.
    unordered : int
        Neighbours among the inputs whose results are in the wrong order.
    worst : list of dict
        The largest errors in units in the last place, by MPFR: input, got, want, exact, ulp.
    """

    inputs: int = 0
    finite: int = 0
    misrounded: int = 0
    sum: float = 0.0
    failed: int = 0
    failed_at: str | None = None
    unordered: int = 0
    worst: list = field(default_factory=list)

    def add(self, other):
        for name in ("inputs", "finite", "misrounded", "sum", "failed", "unordered"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failed_at = self.failed_at or other.failed_at
        distinct = {entry["input"]: entry for entry in self.worst + other.worst}
        self.worst = sorted(distinct.values(), key=lambda entry: (-entry["ulp"], entry["input"]))[:WORST]

    def threshold(self):
        """An error up to this does not enter the list any more."""
        return self.worst[-1]["ulp"] if len(self.worst) == WORST else -math.inf


@dataclass
class Comparison:
    """Two results that ought to agree, compared on many inputs.

    Attributes
    ----------
    inputs : int
        Inputs on which they were compared.
    differing : int
        Those on which they differ.
    largest : float
        The largest difference, in units in the last place; None where only bits were compared.
    where : str or None
        The input with the largest difference, or the first one with any.
    """

    inputs: int = 0
    differing: int = 0
    largest: float | None = None
    where: str | None = None

    def add(self, other):
        self.inputs += other.inputs
        self.differing += other.differing
        if self.where is None or (other.largest or 0) > (self.largest or 0):
            self.where = other.where
        if other.largest is not None:
            self.largest = max(other.largest, self.largest or 0.0)


@dataclass
class Findings:
    """What a chunk, or a whole task, has found.

    Attributes
    ----------
    errors : dict of Errors
        By library.
    comparisons : dict of Comparison
        By a phrase that says what is compared.
    profile : dict of list
        By library, ``[first input, last input, largest error, its input]`` for each part of the range;
        these errors are estimates, too large by `ulp.oracle.UNCERTAINTY` at most, or by a factor of two
        beside a power of two.
    control_error : float
        The largest error of the wider type that was seen, in units in the last place of the result's type.
    """

    errors: dict = field(default_factory=dict)
    comparisons: dict = field(default_factory=dict)
    profile: dict = field(default_factory=dict)
    control_error: float = 0.0

    def add(self, other):
        for mine, theirs in ((self.errors, other.errors), (self.comparisons, other.comparisons)):
            for key, value in theirs.items():
                mine.setdefault(key, type(value)()).add(value)
        for library, parts in other.profile.items():
            self.profile.setdefault(library, []).extend(parts)
        self.control_error = max(self.control_error, other.control_error)

    def to_json(self):
        return asdict(self)

    @classmethod
    def from_json(cls, saved):
        assert saved.keys() == {entry.name for entry in fields(cls)}
        return cls(
            {key: Errors(**value) for key, value in saved["errors"].items()},
            {key: Comparison(**value) for key, value in saved["comparisons"].items()},
            saved["profile"],
            saved["control_error"],
        )
