"""The losses on logits: signatures, documentation, argument rules."""

import operator

import numpy as np

from fastlogit import _isa
from fastlogit._arguments import (
    check_real, checked_axis, real_number, with_numpy_dtype, working_dtype,
)
from fastlogit._containers import check_labels, check_no_series, labelled_like, numbers_in

cimport cython
cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer

from fastlogit._arrays cimport same_elements_or_apart
from fastlogit._environment cimport enter_default, fenv_t, fesetenv
from fastlogit._threads cimport end_call, threads_for
from fastlogit.kernels.binary_loss cimport binary_loss_kernels, binary_losses
from fastlogit.kernels.cross_entropy cimport (
    cross_entropies, cross_entropy_kernels, label_survey, slice_operand,
)
from fastlogit.kernels.numbers cimport (
    FLOAT32, FLOAT64, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, number_type,
)
from fastlogit.kernels.operands cimport append_operand_axis, begin_operand, end_operand, operand
from fastlogit.kernels.slices cimport (
    CROSS_ENTROPY, CROSS_ENTROPY_CURVATURE, CROSS_ENTROPY_GRADIENT, slices,
)
from fastlogit.kernels.strided cimport append_axis, begin_walk, merge_axes, pad_axes

cnp.import_array()

cdef const binary_loss_kernels *binary = <const binary_loss_kernels *> PyCapsule_GetPointer(
    _isa.kernels("binary_loss"), "fastlogit.kernels.binary_loss"
)
cdef const cross_entropy_kernels *categorical = <const cross_entropy_kernels *> PyCapsule_GetPointer(
    _isa.kernels("cross_entropy"), "fastlogit.kernels.cross_entropy"
)

cdef enum:
    SMALLEST_PARALLEL_CROSS_ENTROPY = 16384  # elements
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


@cython.final
cdef class DefaultEnvironment:
    """The floating-point environment of a call, until this is let go: by the return, or by an exception.

    NumPy rounds where it casts, and a mean is divided here: by the rules of the caller, and trapped as the
    caller says, without this.
    """

    cdef fenv_t caller

    def __cinit__(self):
        enter_default(&self.caller)

    def __dealloc__(self):
        fesetenv(&self.caller)


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
        """An ndarray of real numbers, none of which is missing."""
        array, missing = numbers_in(self.function, argument, value)
        if missing is not None and missing.any():
            fault = "masked elements" if isinstance(value, np.ma.MaskedArray) else "missing values"
            raise self.refuse(
                ValueError, argument, f"has {fault}, the first at {first_of(missing)}; {cure}"
            )
        array = with_numpy_dtype(array)
        check_real(self.function, array.dtype, argument)
        return array

    def axis(self, value, ndim):
        try:
            if isinstance(value, bool):
                raise TypeError("a flag is no axis")
            index = operator.index(value)
        except TypeError:
            raise self.refuse(TypeError, "axis", f"is {value!r}; it must be one integer") from None
        return checked_axis(self.function, index, ndim)

    def label_smoothing(self, value):
        try:
            share = real_number(value)
        except (TypeError, ValueError) as error:
            raise self.refuse(
                TypeError, "label_smoothing", f"must be a number, not {type(value).__name__}"
            ) from error
        if not 0 <= share <= 1:
            raise self.refuse(ValueError, "label_smoothing", f"is {share!r}; it must be within [0, 1]")
        return share

    def ignore_index(self, value):
        try:
            index = operator.index(value)
        except TypeError:
            raise self.refuse(
                TypeError, "ignore_index", f"is {value!r}; it must be an integer, a label that does not count"
            ) from None
        if not -2**63 <= index < 2**63:
            raise self.refuse(
                ValueError, "ignore_index", "has more than 64 bits; pass a label that does not count"
            )
        return index

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
        array = as_known_type(array)
        try:
            return np.broadcast_to(array, shape)
        except ValueError:
            raise self.refuse(
                ValueError, argument, f"has shape {array.shape}, which does not broadcast to {shape}"
            ) from None

    def check_result(self, argument, array, shape, dtype, inputs):
        """Refuse an array that cannot take results while the inputs are read."""
        allocate = f"allocate it with np.empty({shape}, np.{dtype})"
        check_no_series(self.function, array, argument)
        if not isinstance(array, np.ndarray):
            raise self.refuse(
                TypeError, argument, f"must be an array, not {type(array).__name__}; {allocate}"
            )
        if array.dtype != dtype or not array.dtype.isnative:
            raise self.refuse(
                TypeError, argument, f"has dtype {array.dtype}, and the results have {dtype}; {allocate}"
            )
        if not array.flags.writeable:
            raise self.refuse(
                ValueError, argument, "is read-only, and nothing was written to it; pass a writeable array "
                "(pandas hands out read-only arrays: take to_numpy(copy=True))"
            )
        if array.shape != shape:
            raise self.refuse(
                ValueError, argument, f"has shape {array.shape}, and the results have {shape}; {allocate}"
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
            if name == "logits" and other.shape == shape and same_elements_or_apart(other, array):
                continue
            if overlaps(array, other):
                raise self.refuse(
                    ValueError, argument, f"overlaps {name}, which are read while it is written; pass an "
                    "array of its own" + (", or the very same array" if name == "logits" else "")
                )


def as_known_type(array):
    """Of a type that the kernels read: of another byte order as it is here, other floats as float64."""
    if array.dtype in NUMBER_TYPES:
        return array
    native = array.dtype.newbyteorder("=")
    return array.astype(native if native in NUMBER_TYPES else np.float64)


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
    if not shape:
        return "its only position"
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
        end_call()
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
    np.float64(0.14672989952039847)
    >>> grad
    array([-3.97343073e-02,  8.96471405e-02, -1.41611809e-18])

    A confident and correct score costs little, and not 0:

    >>> binary_cross_entropy_with_logits(z, [1, 0, 1], reduction="none")
    array([1.26928011e-01, 3.13261688e-01, 4.24835426e-18])
    """
    cdef binary_losses call
    cdef double total = 0
    cdef int failed, threads
    cdef bint single
    _environment = DefaultEnvironment()
    arguments = Call("binary_cross_entropy_with_logits")
    arguments.check_reduction(reduction)
    z = arguments.logits(logits)
    cure = "leave such elements out, or give them a weight of 0"
    for argument, value in (("target", target), ("weight", weight), ("pos_weight", pos_weight)):
        check_labels(arguments.function, argument, value, logits)
    y = as_known_type(arguments.numbers("target", target, cure))
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
            arguments.check_result(argument, result, z.shape, z.dtype, inputs)
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
        end_call()
    if failed:
        raise MemoryError("binary_cross_entropy_with_logits: no memory for the sums; nothing was written")
    if reduction == "none":
        if out is not None:
            return out
        return labelled_like(logits, None, losses) if losses.ndim else losses[()]
    if reduction == "mean":
        return np.float64(total / z.size) if z.size else np.float64("nan")
    return np.float64(total)


# ---- cross-entropy ---------------------------------------------------------------------------------


cdef int describe_slices(object array, int axis, slice_operand *target) except -1:
    """An array with the class axis, seen from one slice to the next."""
    cdef cnp.ndarray elements
    if array is None:
        target.stride = 0
        return describe(None, &target.first)
    elements = array
    target.stride = cnp.PyArray_STRIDE(elements, axis)
    if cnp.PyArray_SIZE(elements):
        describe((<object> elements)[(slice(None),) * axis + (0, ...)], &target.first)
    else:
        describe(elements, &target.first)
    return 0


cdef int cut_slices(cnp.ndarray x, cnp.ndarray out, int axis, bint alike, slices *cut) except -1:
    """Along the class axis; ``alike`` says that no other array is walked with these two."""
    cdef int i, itemsize = <int> cnp.PyArray_ITEMSIZE(x)
    begin_walk(&cut.kept, cnp.PyArray_BYTES(x), cnp.PyArray_BYTES(out), NULL)
    begin_walk(&cut.reduced, NULL, NULL, NULL)
    for i in range(cnp.PyArray_NDIM(x)):
        append_axis(
            &cut.reduced if i == axis else &cut.kept, cnp.PyArray_DIM(x, i), cnp.PyArray_STRIDE(x, i),
            cnp.PyArray_STRIDE(out, i), 0,
        )
    if alike:
        merge_axes(&cut.kept)
    pad_axes(&cut.kept, 1, itemsize)
    pad_axes(&cut.reduced, 1, itemsize)
    return 0


def targets_of_classes(arguments, target, z, axis):
    """Labels, or probabilities, and the other None."""
    kept = z.shape[:axis] + z.shape[axis + 1:]
    y = arguments.numbers(
        "target", target, "give such slices the label ignore_index, or a sample_weight of 0"
    )
    y = as_known_type(y)
    if y.dtype.kind == "f":
        if y.shape == z.shape:
            return None, y
        if y.shape == kept:
            raise arguments.refuse(
                TypeError, "target", f"has dtype {y.dtype}, and labels are integers: convert them with "
                "astype(np.int64), missing ones to ignore_index"
            )
    elif y.shape == kept:
        return y, None
    fault = (
        f"has shape {y.shape}; the logits {z.shape} with classes along axis {axis} need labels of "
        f"shape {kept}"
    )
    if z.ndim > 2 and axis != 1 and y.shape == (z.shape[0], *z.shape[2:]):
        fault += ". These labels fit classes along axis 1, as PyTorch has them: pass axis=1"
    elif y.shape == z.shape:
        fault += ", or probabilities as floating-point numbers: convert with astype(float)"
    else:
        fault += f", or probabilities of shape {z.shape}"
    raise arguments.refuse(ValueError, "target", fault)


def cross_entropy(
    logits, target, weight=None, *, axis=-1, sample_weight=None, ignore_index=-100, label_smoothing=0.0,
    reduction="mean", out=None, grad=None, hess=None,
):
    """
    cross_entropy(logits, target, weight=None, *, axis=-1, sample_weight=None, ignore_index=-100,
                  label_smoothing=0.0, reduction="mean", out=None, grad=None, hess=None)

    Cross-entropy of the classes' logits, with its first and second derivative in the same pass.

    The loss of a classifier: ``logsumexp(z) - z[label]`` for each slice z along `axis`. No softmax is needed
    before it, and none must be applied.

    Parameters
    ----------
    logits : array_like
        Scores of the classes along `axis`. float32 and float64 are computed in their own precision,
        float16 in float32, bool and integers in float64.
    target : array_like
        Labels of any integer dtype or bool, of the shape of `logits` without `axis`; or probabilities in
        [0, 1], floating-point, of the shape of `logits`. They need not add up to 1.
    weight : array_like, optional
        One weight for each class.
    axis : int, optional
        Where the classes are. PyTorch has them along axis 1: pass ``axis=1`` for its layout of more than two
        dimensions.
    sample_weight : array_like, optional
        Weights of the slices, broadcast to the shape of `logits` without `axis`. A weight of 0 silences a
        slice, whatever its logits are.
    ignore_index : int, optional
        Slices with this label do not count.
    label_smoothing : float, optional
        Between 0 and 1: how much of the target is spread evenly over all classes.
    reduction : {"mean", "sum", "none"}, optional
        What is returned. The mean divides by the sum of the weights that count: those of the labels times
        `sample_weight`; with probabilities by the sum of `sample_weight` alone. That is what PyTorch does.
    out : ndarray, optional
        Where the losses go if `reduction` is "none". It is returned.
    grad : ndarray, optional
        Receives the derivative of the result with respect to the logits: of the mean or of the sum, or with
        "none" of each loss with respect to the logits of its slice. It has the shape of `logits` and the
        dtype of the computation, any strides, and may be `logits` itself.
    hess : ndarray, optional
        Receives the diagonal of the Hessian, as `grad` does the first derivative.

    Returns
    -------
    numpy.float64 or ndarray
        The mean or the sum, in float64 also for float32 logits, each loss added without rounding; with
        "none" the losses, one for each slice. The mean is NaN if no slice counts.

    Raises
    ------
    TypeError
        If an argument is not made of real numbers, labels are not integers, `logits` are long double, or a
        result is no array of the right dtype.
    ValueError
        If a label is missing or no class, a probability is not within [0, 1], shapes do not fit, or an array
        for results is read-only, or overlaps an input without being the very same array as `logits`. Nothing
        is written then.
    numpy.exceptions.AxisError
        If `logits` have no such axis.

    See Also
    --------
    binary_cross_entropy_with_logits : the loss of two classes, from one logit.
    log_softmax : its elements at the labels are the losses, but for the sign.

    Notes
    -----
    With q the target after smoothing, times the class weights, and Q its sum, the loss is ``sum(q *
    (logsumexp(z) - z))``, its first derivative ``Q p - q`` and its second ``Q p (1 - p)``, where p is the
    softmax of z. The error of a loss is at most 2 units in the last place, also near 0: the largest logit is
    left out of the sum, whose log1p is taken. Where the loss without its weights is subnormal, the unit is
    the smallest number times the weights. An infinite logit of the label costs 0, and one of another class
    infinity. The result does not depend on strides nor on the number of threads.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlogit import cross_entropy
    >>> z = np.array([[2.0, 1.0, -1.0], [0.0, 40.0, 0.0]])
    >>> grad = np.empty_like(z)
    >>> cross_entropy(z, [0, 1], grad=grad)
    np.float64(0.1745061083840932)
    >>> grad.round(4)
    array([[-0.1473,  0.1297,  0.0176],
           [ 0.    , -0.    ,  0.    ]])

    A confident and correct classifier costs little, and not 0:

    >>> cross_entropy(z, [0, 1], reduction="none")
    array([3.49012217e-01, 8.49670851e-18])
    """
    cdef cross_entropies call
    cdef label_survey surveyed
    cdef double total = 0
    cdef int failed, threads, class_axis
    cdef Py_ssize_t size
    cdef bint single
    _environment = DefaultEnvironment()
    arguments = Call("cross_entropy")
    arguments.check_reduction(reduction)
    z = arguments.logits(logits)
    if z.ndim == 0:
        raise arguments.refuse(ValueError, "logits", "are a single number; they need an axis of classes")
    class_axis = arguments.axis(axis, z.ndim)
    if z.shape[class_axis] == 0:
        raise arguments.refuse(ValueError, "logits", f"have no classes: their shape is {z.shape}")
    for argument, value in (("target", target), ("sample_weight", sample_weight)):
        check_labels(arguments.function, argument, value, logits, of_rows=True)
    labels, probabilities = targets_of_classes(arguments, target, z, class_axis)
    kept = z.shape[:class_axis] + z.shape[class_axis + 1:]
    call.smoothing = arguments.label_smoothing(label_smoothing)
    call.ignored = arguments.ignore_index(ignore_index)
    w = None
    if weight is not None:
        w = arguments.numbers("weight", weight, "fill them with 0")
        if w.shape != (z.shape[class_axis],):
            raise arguments.refuse(
                ValueError, "weight", f"has shape {w.shape}; it must have one element for each of the "
                f"{z.shape[class_axis]} classes. Weights of the samples are sample_weight"
            )
        w = as_known_type(w)
    samples = None if sample_weight is None else arguments.operand(
        "sample_weight", sample_weight, kept, "fill them with 0"
    )
    if out is not None and reduction != "none":
        raise arguments.refuse(
            ValueError, "out", f"takes the losses of reduction='none', and reduction is {reduction!r}; a "
            "reduced loss is returned as a number"
        )
    inputs = {
        "logits": z, "target": labels if probabilities is None else probabilities, "weight": w,
        "sample_weight": samples,
    }
    for argument, result, shape in (("out", out, kept), ("grad", grad, z.shape), ("hess", hess, z.shape)):
        if result is not None:
            arguments.check_result(argument, result, shape, z.dtype, inputs)
            inputs[argument] = result
    if probabilities is not None:
        check_targets(arguments, probabilities)
    losses = out
    if losses is None and reduction == "none":
        losses = np.empty(kept, z.dtype)
    call.slices = z.size // z.shape[class_axis]
    call.classes = z.shape[class_axis]
    call.factor = 1
    describe(labels, &call.labels)
    describe_slices(probabilities, class_axis, &call.probabilities)
    describe(samples, &call.sample_weight)
    describe(losses, &call.loss)
    describe_slices(w, 0, &call.class_weights)
    describe_slices(hess if grad is not None else None, class_axis, &call.curvature)
    size = z.size
    with nogil:
        threads = threads_for(size, SMALLEST_PARALLEL_CROSS_ENTROPY)
        failed = categorical.survey(&call, &surveyed, threads)
        end_call()
    if failed:
        raise MemoryError("cross_entropy: no memory for the sums; nothing was written")
    if surveyed.first_invalid >= 0:
        raise arguments.refuse(
            ValueError, "target", f"is {labels.flat[surveyed.first_invalid]} at "
            f"{position_in(labels.shape, surveyed.first_invalid)}, and there are {call.classes} classes: "
            f"labels are 0 to {call.classes - 1}, or ignore_index ({ignore_index}) where none is known"
        )
    if reduction == "mean":
        call.factor = 1 / surveyed.weight if surveyed.weight else 0.0
    derivative = grad if grad is not None else hess
    call.function = CROSS_ENTROPY
    if grad is not None:
        call.function = CROSS_ENTROPY_GRADIENT
    elif hess is not None:
        call.function = CROSS_ENTROPY_CURVATURE
    if size:
        alike = grad is None or hess is None
        cut_slices(z, z if derivative is None else derivative, class_axis, alike, &call.cut)
        single = z.dtype == np.float32
        with nogil:
            threads = threads_for(size, SMALLEST_PARALLEL_CROSS_ENTROPY)
            if single:
                failed = categorical.float32(NULL, &call, &total, threads)
            else:
                failed = categorical.float64(NULL, &call, &total, threads)
            end_call()
        if failed:
            raise MemoryError("cross_entropy: no memory for the sums; nothing was written")
    if reduction == "none":
        if out is not None:
            return out
        return labelled_like(logits, class_axis, losses) if losses.ndim else losses[()]
    if reduction == "mean":
        return np.float64(total / surveyed.weight) if surveyed.weight else np.float64("nan")
    return np.float64(total)
