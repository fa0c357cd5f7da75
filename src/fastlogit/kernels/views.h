/* Typed memoryviews over memory that the caller holds. No Python object is made: the place of one is taken by
   None, which Cython neither counts nor releases, so that a view costs nothing and needs no GIL. */
#ifndef FASTLOGIT_VIEWS_H
#define FASTLOGIT_VIEWS_H

#define FASTLOGIT_CONTIGUOUS(start, n)                                                                     \
    ((__Pyx_memviewslice){(struct __pyx_memoryview_obj *)Py_None, (char *)(start), {(n)}, {0}, {-1}})
#define FASTLOGIT_ROWS(start, rows, columns, row_stride, column_stride)                                    \
    ((__Pyx_memviewslice){(struct __pyx_memoryview_obj *)Py_None, (char *)(start), {(rows), (columns)},    \
                          {(row_stride), (column_stride)}, {-1, -1}})

#endif
