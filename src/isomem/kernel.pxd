# The types of `kernel.py` for the compiler.

import cython


cdef double INFINITY, K1, B, AVERAGE_LENGTH

cpdef double term_weight(double count, double length)

@cython.locals(
    length=Py_ssize_t, whole=Py_ssize_t, at=Py_ssize_t, block=cython.uint, state=cython.uint
)
cpdef long long term_number(bytes term)

cdef unsigned int _scramble(unsigned int block)

@cython.locals(total=cython.double, number=cython.double, length=cython.double, size=Py_ssize_t, at=Py_ssize_t)
cpdef double scale_to_unit(float[:] numbers, double least)

@cython.locals(
    texts=Py_ssize_t, terms=Py_ssize_t, term=Py_ssize_t, text=Py_ssize_t, at=Py_ssize_t,
    start=Py_ssize_t, end=Py_ssize_t, length=Py_ssize_t, found=Py_ssize_t,
    seen=cython.uint, number=cython.uint,
)
cpdef score_texts(
    const unsigned int[:] numbers, const unsigned int[:] sizes, const unsigned int[:] wanted,
    const double[:] factors, double[:] scores, unsigned int[:] counts,
)

@cython.locals(
    room=Py_ssize_t, everything=cython.bint, count=Py_ssize_t,
    row=Py_ssize_t, score=cython.double, inserted=cython.longlong, last=Py_ssize_t,
)
cpdef Py_ssize_t best(
    const double[:] scores, const long long[:] row_keys, long long order_mask,
    const unsigned char[:] allowed, double floor, double[:] kept, long long[:] order, long long[:] rows,
)

@cython.locals(above=Py_ssize_t)
cdef void _rise(
    double[:] kept, long long[:] order, long long[:] rows,
    Py_ssize_t at, double score, long long inserted, long long row,
) noexcept

@cython.locals(at=Py_ssize_t, below=Py_ssize_t)
cdef void _sink(
    double[:] kept, long long[:] order, long long[:] rows,
    Py_ssize_t count, double score, long long inserted, long long row,
) noexcept
