# Python objects to bytes and back: plain values natively, all else through the policy's pickler.
cdef extern from "sys/uio.h":
    struct iovec:
        void *iov_base
        size_t iov_len

cdef enum:
    CODEC_PARTS = 132  # header, pickle, and 64 buffers with padding each
    CODEC_SMALL = 1024

ctypedef struct encoding:
    unsigned int kind
    unsigned long long size
    int nparts
    iovec parts[CODEC_PARTS]
    long long scratch
    unsigned char[CODEC_SMALL] small

# Fills *e with pointers into what it returns (and into `obj`): keep both until the bytes are copied.
cdef object encode(object obj, encoding *e, object dumps)

# Whether `decode` wants large messages of this kind in a bytearray rather than in bytes.
cdef bint wants_bytearray(unsigned int kind) noexcept nogil

# A small message, from a scratch buffer.
cdef object decode(unsigned int kind, const char *p, Py_ssize_t n, object loads)

# A large message, from a bytes object of its own, or (see wants_bytearray) a bytearray or a view.
cdef object decode_owned(unsigned int kind, object owner, object loads)
