"""Many datagrams received by one system call: recvmmsg(2), into one place that is used again and again."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import Any

from .received import Header, OneOfMany, Piece

MSG_DONTWAIT = 0x40
MESSAGES, DATA, NAME, CONTROL = 64, 128, 32, 64  # of a batch; bytes of each message's parts

_STAMP = struct.Struct("=16xqq32x")  # the one control message: its header (cmsg(3)), struct __kernel_timespec
_libc = ctypes.CDLL(None, use_errno=True)


class Batch:
    """Room for many messages: of each the first DATA bytes, its sender's address and the kernel's stamp."""

    def __init__(self) -> None:
        buffers = [bytearray(MESSAGES * size) for size in (DATA, NAME, CONTROL)]
        self._data, self._name, self._control = (memoryview(each) for each in buffers)
        data, name, control = map(_address, buffers)
        self._pieces = (Piece * MESSAGES)(*(Piece(data + k * DATA, DATA) for k in range(MESSAGES)))
        pieces, size = ctypes.addressof(self._pieces), ctypes.sizeof(Piece)
        headers = (
            Header(name + k * NAME, NAME, pieces + k * size, 1, control + k * CONTROL, CONTROL, 0)
            for k in range(MESSAGES)
        )
        self._headers = (OneOfMany * MESSAGES)(*(OneOfMany(header, 0) for header in headers))
        self._fresh = bytes(self._headers)  # the kernel writes the lengths over
        self._at = ctypes.byref(self._headers)

    def receive(self, fd: int) -> int:
        """How many messages came, MESSAGES at most: those that wait at the socket. Raises OSError."""
        count: int = _libc.recvmmsg(fd, self._at, MESSAGES, MSG_DONTWAIT, None)
        if count > 0:
            ctypes.memmove(self._headers, self._fresh, count * ctypes.sizeof(OneOfMany))
            return count
        code = ctypes.get_errno()
        if count == 0 or code in (errno.EAGAIN, errno.EINTR):
            return 0
        raise OSError(code, os.strerror(code))

    def read(self, layout: struct.Struct, sender: struct.Struct, count: int) -> Iterator[Any]:
        """Of each of the messages that came the fields of `layout`, those of its sender's address, and of its
        stamp seconds and ns. The layouts are as long as DATA and NAME.
        """
        return zip(
            layout.iter_unpack(self._data[: count * DATA]),
            sender.iter_unpack(self._name[: count * NAME]),
            _STAMP.iter_unpack(self._control[: count * CONTROL]),
            strict=True,
        )


def _address(buffer: bytearray) -> int:
    """Where its bytes lie in memory; it cannot be made longer from now on."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
