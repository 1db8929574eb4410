"""Settings of the C library's memory allocator. Both functions do nothing where the C library is not glibc."""

import ctypes
from contextlib import suppress

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of glibc's malloc.h
LARGE_BLOCK_BYTES = 256 * 1024


def use_one_heap() -> None:
    """Use one heap for all threads, and a mapping of its own for each large block.

    With one heap per thread, freed memory is too fragmented to hold the next model, which costs 5 MB per worker and model. Call this before
    threads start.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_ARENA_MAX, 1)
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)


def give_back_memory() -> None:
    """Return free pages to the system. Takes about a millisecond."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
