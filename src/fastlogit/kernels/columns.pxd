"""Rows of a panel become one: of each lane the largest element, or the sum of its positions.

A row of a panel with few lanes has ``fold`` positions, one after the other: lane j % (width // fold) stands
in column j. Where slices are taken along themselves, what is found at each position of a quarter stands in
rows of its own and is turned into columns first; a row alone is a column as it is. So both directions add
in the same order, and among many slices none waits for the additions of its own.
"""

from libc.string cimport memcpy

from fastlogit.kernels.arithmetic cimport exclusive_doubles, real
from fastlogit.kernels.expsum cimport QUARTER, halve, lanes_of
from fastlogit.kernels.panels cimport transpose


cdef enum:
    TURNED = 8  # rows turned into columns at once: as many as a tile of any build has


cdef inline Py_ssize_t lanes_for(Py_ssize_t count) noexcept nogil:
    """How many lanes a panel for so many turned rows has."""
    cdef Py_ssize_t lane_count = TURNED
    while lane_count < count:
        lane_count *= 2
    return lane_count


cdef inline void turn(const real *rows, real *columns, Py_ssize_t lane_count) noexcept nogil:
    """TURNED rows of QUARTER to as many columns of a panel."""
    transpose[real](rows, QUARTER * sizeof(real), columns, lane_count * sizeof(real), TURNED, QUARTER)


cdef inline void repeat_lanes(real *columns, Py_ssize_t lane_count, Py_ssize_t width) noexcept nogil:
    """The first columns, one a lane, to the others."""
    cdef Py_ssize_t i
    for i in range(1, width // lane_count):
        memcpy(columns + i * lane_count, columns, lane_count * sizeof(real))


cdef inline void keep_larger_rows(const real[:, ::1] panel, real *largest) noexcept nogil:
    """Four rows are compared among themselves first; NaN is passed over, it comes back through the sum."""
    cdef const real *row
    cdef const real *row1
    cdef const real *row2
    cdef const real *row3
    cdef real first, second
    cdef Py_ssize_t rows = panel.shape[0], i, j, width = lanes_of[real](NULL)
    for i in range(0, rows - 3, 4):
        row, row1, row2, row3 = &panel[i, 0], &panel[i + 1, 0], &panel[i + 2, 0], &panel[i + 3, 0]
        for j in range(width):
            first = row[j] if row[j] > row1[j] else row1[j]
            second = row2[j] if row2[j] > row3[j] else row3[j]
            first = first if first > second else second
            largest[j] = first if first > largest[j] else largest[j]
    for i in range(rows // 4 * 4, rows):
        row = &panel[i, 0]
        for j in range(width):
            largest[j] = row[j] if row[j] > largest[j] else largest[j]


cdef inline void largest_of_lanes(real *values, Py_ssize_t lane_count) noexcept nogil:
    """Of each lane the largest of its columns, in the first of them."""
    cdef Py_ssize_t i, j
    cdef real *others
    for i in range(1, lanes_of[real](NULL) // lane_count):
        others = values + i * lane_count
        for j in range(lane_count):
            values[j] = others[j] if others[j] > values[j] else values[j]


cdef inline void sums_of_lanes(real *values, Py_ssize_t lane_count) noexcept nogil:
    """Of each lane the sum of its columns, in the first of them."""
    cdef Py_ssize_t i, j
    for i in range(1, lanes_of[real](NULL) // lane_count):
        for j in range(lane_count):
            values[j] += values[i * lane_count + j]


cdef inline void keep_larger(real *columns, Py_ssize_t width) noexcept nogil:
    """Of two halves, each ``width`` long."""
    cdef Py_ssize_t i
    for i in range(width):
        columns[i] = columns[i + width] if columns[i + width] > columns[i] else columns[i]


cdef inline void largest_of_columns(real *columns, Py_ssize_t lane_count) noexcept nogil:
    """Of turned rows, in the first row of the panel; of one row, with a constant 1, in its first place."""
    keep_larger[real](columns, 8 * lane_count)
    keep_larger[real](columns, 4 * lane_count)
    keep_larger[real](columns, 2 * lane_count)
    keep_larger[real](columns, lane_count)


cdef inline void add_columns(
    real *tag, Py_ssize_t positions, Py_ssize_t lane_count, exclusive_doubles high, real *low
) noexcept nogil:
    """The sums of each of so many positions of a quarter, 16, 8, 4, 2 or 1, to those of the lanes."""
    if positions > 8:
        halve[real](NULL, high, low, 8 * lane_count)
    if positions > 4:
        halve[real](NULL, high, low, 4 * lane_count)
    if positions > 2:
        halve[real](NULL, high, low, 2 * lane_count)
    if positions > 1:
        halve[real](NULL, high, low, lane_count)
