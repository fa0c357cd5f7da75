"""The losses on logits: signatures, documentation, argument rules."""

import numpy as np

from fastlogit import _isa
from fastlogit._arguments import working_dtype
from fastlogit._containers import is_lazy, wrapped_like

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer

from fastlogit._arrays cimport same_elements_or_apart
from fastlogit._threads cimport threads_for
from fastlogit.kernels.binary_loss cimport binary_loss_kernels, binary_losses
from fastlogit.kernels.numbers cimport (
    FLOAT32, FLOAT64, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, number_type,
)
from fastlogit.kernels.operands cimport append_operand_axis, begin_operand, end_operand, operand

cnp.import_array()

cdef const binary_loss_kernels *binary = <const binary_loss_kernels *> PyCapsule_GetPointer(
    _isa.kernels("binary_loss"), "fastlogit.kernels.binary_loss"
)

cdef enum:
    SMALLEST_PARALLEL_BINARY = 2048  # elements from which two threads win
    SMALLEST_PARALLEL_TARGETS = 65536

REDUCTIONS = ("mean", "sum", "none")

cdef dict NUMBER_TYPES = {
    np.dtype(np.float32): FLOAT32,
    np.dtype(np.float64): FLOAT64,
    np.dtype(np.bool): UINT8,
    np.dtype(np.int8): INT8,
    np.dtype(np.uint8): UINT8,
    np.dtype(np.int16): INT16,
    np.dtype(np.uint16): UINT16,
    np.dtype(np.int32): INT32,
    np.dtype(np.uint32): UINT32,
    np.dtype(np.int64): INT64,
    np.dtype(np.uint64): UINT64,
}


# ---- arguments -------------------------------------------------------------------------------------


class Call:
    """One call of a loss, for its error messages."""

    def __init__(self, str function):
        self.function = function

    def refuse(self, error, argument, fault):
        return error(f"{self.function}: {argument} {fault}")

    def check_reduction(self, reduction):
        if not isinstance(reduction, str) or reduction not in REDUCTIONS:
            raise self.refuse(ValueError, "reduction", f"is {reduction!r}; it can be 'mean', 'sum' or 'none'")

    def numbers(self, argument, value, cure):
        """An ndarray of real numbers. Missing values become NaN, which a target cannot be."""
        if is_lazy(value):
            raise self.refuse(
                TypeError, argument, "is a dask array, which would be computed at once; compute() it first, "
                "or map the loss over its blocks"
            )
        if isinstance(value, np.ma.MaskedArray):
            if np.ma.is_masked(value):
                raise self.refuse(
                    ValueError, argument, f"has masked elements, the first at {first_of(value.mask)}; {cure}"
                )
            value = value.data
        array = np.asarray(value)
        if array.dtype == object and hasattr(value, "to_numpy") and hasattr(value, "isna"):
            missing = np.asarray(value.isna())
            if missing.any():
                raise self.refuse(
                    ValueError, argument, f"has missing values, the first at {first_of(missing)}; {cure}"
                )
            array = np.asarray(value.to_numpy(np.float64))
        if array.dtype.kind not in "biuf":
            raise self.refuse(
                TypeError, argument, f"has dtype {array.dtype} and must be bool, integer or floating-point; "
                "convert it with astype(float)"
            )
        return array

    def logits(self, value):
        """An array of native float32 or float64, of the dtype in which the loss is computed."""
        array = self.numbers("logits", value, "give them a weight of 0")
        dtype = working_dtype(array.dtype)
        if dtype is None:
            raise self.refuse(
                TypeError, "logits", "are long double, which the losses have no arithmetic for; convert "
                "them with astype(np.float64)"
            )
        return np.asarray(array, dtype)

    def operand(self, argument, value, shape, cure):
        """Numbers of a type that the kernels read, broadcast to a shape."""
        array = self.numbers(argument, value, cure)
        if array.dtype not in NUMBER_TYPES:
            array = array.astype(np.float64)
        try:
            return np.broadcast_to(array, shape)
        except ValueError:
            raise self.refuse(
                ValueError, argument, f"has shape {array.shape}, which does not broadcast to {shape}"
            ) from None

    def check_result(self, argument, array, logits, inputs):
        """Refuse an array that cannot take results while the logits are read."""
        if not isinstance(array, np.ndarray):
            raise self.refuse(
                TypeError, argument, f"must be an array, not {type(array).__name__}; allocate it with "
                f"np.empty({logits.shape}, np.{logits.dtype})"
            )
        if array.dtype != logits.dtype or not array.dtype.isnative:
            raise self.refuse(
                TypeError, argument, f"has dtype {array.dtype}, and the results have {logits.dtype}; "
                f"allocate it with np.empty({logits.shape}, np.{logits.dtype})"
            )
        if not array.flags.writeable:
            raise self.refuse(
                ValueError, argument, "is read-only, and nothing was written to it; pass a writeable array "
                "(pandas hands out read-only arrays: take to_numpy(copy=True))"
            )
        if array.shape != logits.shape:
            raise self.refuse(
                ValueError, argument, f"has shape {array.shape}, and the results have {logits.shape}; "
                f"allocate it with np.empty({logits.shape}, np.{logits.dtype})"
            )
        if array.size > 1 and 0 in (
            stride for stride, length in zip(array.strides, array.shape, strict=True) if length > 1
        ):
            raise self.refuse(
                ValueError, argument, "has several elements in the same memory (a broadcast array); pass "
                "a copy"
            )
        for name, other in inputs.items():
            if other is None or not np.may_share_memory(array, other):
                continue
            if name == "logits" and same_elements_or_apart(other, array):
                continue
            if overlaps(array, other):
                raise self.refuse(
                    ValueError, argument, f"overlaps {name}, which are read while it is written; pass an "
                    "array of its own" + (", or the very same array" if name == "logits" else "")
                )


def overlaps(first, second):
    try:
        return np.shares_memory(first, second, max_work=100_000)
    except np.exceptions.TooHardError:
        return True


def first_of(mask):
    """The index of the first element that is True, as an error message names it."""
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), np.shape(mask)))
    return f"position {index[0]}" if len(index) == 1 else f"position {index}"


def position_in(shape, index):
    place = tuple(int(i) for i in np.unravel_index(index, shape))
    return f"position {place[0]}" if len(place) == 1 else f"position {place}"


cdef int describe(object array, operand *target) except -1:
    """The strides of an array for the kernels, or that there is none."""
    cdef cnp.ndarray elements
    cdef int axis
    if array is None:
        begin_operand(target, NULL, FLOAT64)
        return 0
    elements = array
    begin_operand(target, cnp.PyArray_BYTES(elements), <number_type> <int> NUMBER_TYPES[elements.dtype])
    for axis in range(cnp.PyArray_NDIM(elements)):
        append_operand_axis(target, cnp.PyArray_DIM(elements, axis), cnp.PyArray_STRIDE(elements, axis))
    end_operand(target, cnp.PyArray_ITEMSIZE(elements))
    return 0


# ---- binary cross-entropy --------------------------------------------------------------------------


cdef int check_targets(object call, cnp.ndarray target) except -1:
    """Within [0, 1], and none is missing."""
    cdef operand elements
    cdef Py_ssize_t size = cnp.PyArray_SIZE(target), invalid
    describe(target, &elements)
    with nogil:
        invalid = binary.first_invalid(&elements, size, threads_for(size, SMALLEST_PARALLEL_TARGETS))
    if invalid >= 0:
        raise call.refuse(
            ValueError, "target",
            f"is {target.flat[invalid]} at {position_in((<object> target).shape, invalid)}; it must be a "
            "label 0 or 1 or a probability, and none may be missing: leave such elements out, or give them "
            "a valid target and a weight of 0",
        )
    return 0


def binary_cross_entropy_with_logits(
    logits, target, weight=None, *, pos_weight=None, reduction="mean", out=None, grad=None, hess=None
):
    """
    binary_cross_entropy_with_logits(logits, target, weight=None, *, pos_weight=None, reduction="mean",
                                     out=None, grad=None, hess=None)

    Binary cross-entropy of logits, with its first and second derivative in the same pass.

    The loss of a binary classifier whose scores are logits: ``softplus(-z)`` where the label is 1 and
    ``softplus(z)`` where it is 0. No sigmoid is needed before it, and none must be applied.

    Parameters
    ----------
    logits : array_like
        Scores z. float32 and float64 are computed in their own precision, float16 in float32, bool and
        integers in float64.
    target : array_like
        Labels 0 and 1 of any integer dtype or bool, or probabilities in [0, 1], of the shape of `logits`.
    weight : array_like, optional
        Weights of the elements, broadcast to the shape of `logits`. A weight of 0 silences an element,
        even if its logit is NaN or infinite.
    pos_weight : array_like, optional
        Weights of the positive part of the loss, broadcast to the shape of `logits`: more than 1 counts
        missed positives for more.
    reduction : {"mean", "sum", "none"}, optional
        What is returned. The mean divides by the number of elements, whatever the weights, as PyTorch
        does.
    out : ndarray, optional
        Where the losses go if `reduction` is "none". It is returned.
    grad : ndarray, optional
        Receives the derivative of the result with respect to the logits: of the mean or of the sum, or
        with "none" of each loss with respect to its own logit. It has the shape of `logits` and the dtype
        of the computation, any strides, and may be `logits` itself.
    hess : ndarray, optional
        Receives the second derivative, the diagonal of the Hessian, as `grad` does the first.

    Returns
    -------
    numpy.float64 or ndarray
        The mean or the sum, added in float64 also for float32 logits; with "none" the losses, of the
        shape of `logits`, in the container that `logits` came in.

    Raises
    ------
    TypeError
        If an argument is not made of real numbers, `logits` are long double, or a result is no array of
        the right dtype.
    ValueError
        If a target is missing or not within [0, 1], shapes do not fit, `reduction` is unknown, or an
        array for results is read-only, or overlaps an input without being the very same array as
        `logits`. Nothing is written then.

    See Also
    --------
    cross_entropy : the loss of more than two classes.
    softplus : the loss of a label of 0.

    Notes
    -----
    With y the target, a = pos_weight y and b = 1 - y, the loss is ``weight * (a * softplus(-z) +
    b * softplus(z))``. Its error is at most 2 units in the last place, also where it is near 0: a
    logit of 40 with the right label costs 4.25e-18. The first derivative is ``weight * (b * p -
    a * (1 - p))``, p the sigmoid of z, the second ``weight * (a + b) * p * (1 - p)``. An infinite logit
    costs 0 with the right label and infinity with the wrong one. The sum does not depend on strides nor on
    the number of threads.

    Without weights this is ``sklearn.metrics.log_loss`` of the sigmoid of the logits. Its weighted mean
    divides by the sum of the weights: take the sum and divide.

    Examples
    --------
    The loss and its gradient for a solver, in one call:

    >>> import numpy as np
    >>> from fastlogit import binary_cross_entropy_with_logits
    >>> z = np.array([2.0, -1.0, 40.0])
    >>> grad = np.empty_like(z)
    >>> binary_cross_entropy_with_logits(z, [1, 0, 1], grad=grad)
    np.float64(0.14672989975699742)
    >>> grad
    array([-3.97343073e-02,  8.96471404e-02, -1.41608512e-18])

    A confident and correct score costs little, and not 0:

    >>> binary_cross_entropy_with_logits(z, [1, 0, 1], reduction="none")
    array([1.26928011e-01, 3.13261688e-01, 4.24835426e-18])
    """
    cdef binary_losses call
    cdef double total = 0
    cdef int failed, threads
    cdef bint single
    arguments = Call("binary_cross_entropy_with_logits")
    arguments.check_reduction(reduction)
    z = arguments.logits(logits)
    cure = "leave such elements out, or give them a weight of 0"
    y = arguments.operand("target", target, np.shape(target), cure)
    if y.shape != z.shape:
        raise arguments.refuse(
            ValueError, "target", f"has shape {y.shape}, and the logits have {z.shape}; they must be the same"
        )
    w = None if weight is None else arguments.operand("weight", weight, z.shape, "fill them with 0")
    positive = None if pos_weight is None else arguments.operand(
        "pos_weight", pos_weight, z.shape, "fill them with 1"
    )
    if out is not None and reduction != "none":
        raise arguments.refuse(
            ValueError, "out", f"takes the losses of reduction='none', and reduction is {reduction!r}; a "
            "reduced loss is returned as a number"
        )
    inputs = {"logits": z, "target": y, "weight": w, "pos_weight": positive}
    for argument, result in (("out", out), ("grad", grad), ("hess", hess)):
        if result is not None:
            arguments.check_result(argument, result, z, inputs)
            inputs[argument] = result
    check_targets(arguments, y)
    losses = out
    if losses is None and reduction == "none":
        losses = np.empty_like(z, subok=False)
    call.size = z.size
    call.factor = 1
    if reduction == "mean" and z.size:
        call.factor = 1.0 / z.size
    describe(z, &call.logits)
    describe(y, &call.target)
    describe(w, &call.weight)
    describe(positive, &call.positive_weight)
    describe(losses, &call.loss)
    describe(grad, &call.gradient)
    describe(hess, &call.curvature)
    single = z.dtype == np.float32
    with nogil:
        threads = threads_for(call.size, SMALLEST_PARALLEL_BINARY)
        if single:
            failed = binary.float32(NULL, &call, &total, threads)
        else:
            failed = binary.float64(NULL, &call, &total, threads)
    if failed:
        raise MemoryError("binary_cross_entropy_with_logits: no memory for the sums; nothing was written")
    if reduction == "none":
        if out is not None:
            return out
        return wrapped_like(logits, losses) if losses.ndim else losses[()]
    if reduction == "mean":
        return np.float64(total / z.size) if z.size else np.float64("nan")
    return np.float64(total)
