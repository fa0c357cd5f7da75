"""What a build of ``binary_loss.pyx`` offers, whatever its instruction set."""

from fastlogit.kernels.arithmetic cimport float32, float64
from fastlogit.kernels.operands cimport operand


cdef struct binary_losses:
    # Arrays of one shape; weight, positive_weight and the results may be missing.
    Py_ssize_t size
    operand logits
    operand target
    operand weight
    operand positive_weight
    operand loss
    operand gradient
    operand curvature
    double factor  # of both derivatives


cdef struct binary_loss_kernels:
    # The first position whose target is not within [0, 1], or -1.
    Py_ssize_t (*first_invalid)(const operand *target, Py_ssize_t size, int threads) noexcept nogil
    # The first argument names the element type, a null pointer. -1 where memory is wanting; nothing is
    # written then.
    int (*float32)(float32 *tag, const binary_losses *call, double *total, int threads) noexcept nogil
    int (*float64)(float64 *tag, const binary_losses *call, double *total, int threads) noexcept nogil
