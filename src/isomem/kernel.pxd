# The types of `kernel.py` for the compiler.

import cython


cdef double INFINITY, K1, B, AVERAGE_LENGTH, NOTHING, ROUNDER, E, LEAST_SQUARE

cdef int ROUNDER_BITS

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

@cython.locals(
    dims=Py_ssize_t, start=Py_ssize_t, row=Py_ssize_t, at=Py_ssize_t, most=cython.int,
    pattern=cython.int, largest=cython.double, inverse=cython.double, total=cython.int,
    code=cython.int,
)
cpdef coarsen(
    const float[::1] numbers, const int[::1] patterns, signed char[::1] codes,
    float[::1] steps, float[::1] lengths, float[::1] scratch, int[::1] bits,
)

@cython.locals(row=Py_ssize_t, distance=cython.double)
cpdef lower_bounds(
    double[::1] products, const float[::1] steps, const float[::1] lengths,
    double factor, double share, double per_length,
)

@cython.locals(room=Py_ssize_t, everything=cython.bint, count=Py_ssize_t, row=Py_ssize_t, distance=cython.double)
cpdef Py_ssize_t reaching(
    const double[::1] lowest, const float[::1] steps, const float[::1] lengths,
    double share, double per_length, double least, const unsigned char[::1] allowed, long long[::1] rows,
)

@cython.locals(to=Py_ssize_t, at=Py_ssize_t, start=Py_ssize_t, place=Py_ssize_t)
cpdef gather(const float[::1] numbers, Py_ssize_t dims, const long long[::1] rows, float[::1] copies)

@cython.locals(dims=Py_ssize_t, vector=Py_ssize_t, first=Py_ssize_t, at=Py_ssize_t)
cpdef add_vectors(const float[:] numbers, Py_ssize_t start, double[:] totals)

@cython.locals(row=Py_ssize_t, square=cython.double)
cpdef invert_distances(const double[:] offsets, double mean_square, double[:] inverses)

@cython.locals(
    terms=Py_ssize_t, term=Py_ssize_t, text=Py_ssize_t, at=Py_ssize_t, start=Py_ssize_t,
    end=Py_ssize_t, at_posting=Py_ssize_t, any_found=cython.bint, number=cython.uint,
    mask=cython.uint,
)
cpdef Py_ssize_t find_terms(
    const unsigned int[:] numbers, const unsigned int[:] sizes, const unsigned int[:] wanted,
    unsigned char[:] marks, unsigned int[:] counts, unsigned int[:] found, unsigned int[:] postings,
)

@cython.locals(at=Py_ssize_t, text=Py_ssize_t, weight=cython.double)
cpdef score_postings(
    const unsigned int[:] postings, Py_ssize_t end, const unsigned int[:] sizes,
    const double[:] factors, double[:] scores,
)

@cython.locals(row=Py_ssize_t, cosine=cython.double)
cpdef center_products(
    double[:] products, const double[:] offsets, const double[:] inverses, double shift, double scale,
)

@cython.locals(row=Py_ssize_t)
cpdef add_weighted(double[:] scores, const double[:] others, double weight)

@cython.locals(row=Py_ssize_t, moment=cython.double)
cpdef find_period(
    const double[:] moments, double first, double end, double fade, double[:] shares,
)

@cython.locals(number=Py_ssize_t, before=Py_ssize_t, position=Py_ssize_t, row=Py_ssize_t, same=cython.bint)
cpdef number_sessions(
    const unsigned int[:] order, const long long[:] row_keys, const double[:] moments, int order_bits,
    double gap, unsigned int[:] sessions,
)

@cython.locals(
    rows=Py_ssize_t, everything=cython.bint, position=Py_ssize_t, row=Py_ssize_t,
    other=Py_ssize_t, best=cython.double,
)
cpdef add_neighbors(
    const unsigned int[:] order, const unsigned int[:] sessions, const double[:] scores,
    const unsigned char[:] allowed, const double[:] parts, double share, double[:] sums,
)

@cython.locals(
    rows=Py_ssize_t, position=Py_ssize_t, row=Py_ssize_t, around=Py_ssize_t, first=Py_ssize_t,
    end=Py_ssize_t, score=cython.double, best=cython.double, own_weight=cython.double,
)
cpdef average_with_best(
    const unsigned int[:] order, const unsigned int[:] sessions, const double[:] scores,
    Py_ssize_t reach, const double[:] parts, double weight, double[:] sums,
)
