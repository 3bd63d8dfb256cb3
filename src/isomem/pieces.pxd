# The types of `pieces.py` for the compiler.

import cython


cdef int SPACE, NUMBER_SIGN

@cython.locals(at=Py_ssize_t, state=cython.uint)
cpdef unsigned int piece_hash(bytes piece)

@cython.locals(
    size=Py_ssize_t, count=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, letters=Py_ssize_t,
)
cpdef Py_ssize_t word_pieces(
    bytes text, const unsigned int[::1] slots, const unsigned int[::1] offsets,
    const unsigned char[::1] spelled, unsigned int unknown, Py_ssize_t most,
    unsigned int[::1] states, unsigned int[::1] pieces,
)

@cython.locals(first=Py_ssize_t, at=Py_ssize_t, sign=Py_ssize_t, piece=Py_ssize_t)
cdef Py_ssize_t _split(
    bytes text, Py_ssize_t start, Py_ssize_t end, const unsigned int[::1] slots,
    const unsigned int[::1] offsets, const unsigned char[::1] spelled, unsigned int unknown,
    unsigned int[::1] states, unsigned int[::1] pieces, Py_ssize_t count,
) noexcept

@cython.locals(
    size=Py_ssize_t, state=cython.uint, place=Py_ssize_t, mask=cython.uint, slot=cython.uint,
    piece=Py_ssize_t,
)
cdef Py_ssize_t _longest(
    bytes text, Py_ssize_t at, Py_ssize_t end, Py_ssize_t sign, const unsigned int[::1] slots,
    const unsigned int[::1] offsets, const unsigned char[::1] spelled, unsigned int[::1] states,
) noexcept

@cython.locals(place=Py_ssize_t)
cdef bint _is_spelled(
    bytes text, Py_ssize_t at, Py_ssize_t size, Py_ssize_t sign, Py_ssize_t first, Py_ssize_t end,
    const unsigned char[::1] spelled,
) noexcept

@cython.locals(first=Py_ssize_t, number=Py_ssize_t, weight=cython.double, at=Py_ssize_t)
cpdef add_rows(
    const signed char[::1] rows, Py_ssize_t width, const unsigned int[::1] weights,
    const unsigned int[::1] pieces, double[::1] totals,
)

@cython.locals(square=cython.double, length=cython.double, at=Py_ssize_t)
cpdef divide_by_length(double[::1] totals)
