"""How recvmsg(2) and recvmmsg(2) are told where to put what they receive."""

from __future__ import annotations

import ctypes


class Piece(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Header(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class OneOfMany(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", Header), ("length", ctypes.c_uint))
