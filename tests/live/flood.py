"""A bounded flood of packets: `python flood.py INTERFACE RATE SECONDS`, in the namespace whose eth0 it leaves by. Prints what it did.

One process and one system call for 64 packets: sendmmsg(2) on a packet socket, paced by the clock. What counts is what was offered,
so a packet that the interface refuses (ENOBUFS) counts as well; it does not happen on a veth.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import sys
import time

BATCH = 64  # packets in one system call
SOURCE, DESTINATION = "10.0.0.2", "8.8.8.8"
SOURCE_MAC = bytes.fromhex("02000a000002")

libc = ctypes.CDLL(None, use_errno=True)


class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Header(ctypes.Structure):
    """struct msghdr of sendmsg(2)."""

    _fields_ = (
        ("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("iov", ctypes.c_void_p), ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t), ("flags", ctypes.c_int),
    )  # fmt: skip


class Message(ctypes.Structure):
    """struct mmsghdr of sendmmsg(2)."""

    _fields_ = (("header", Header), ("length", ctypes.c_uint32))


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(station: bytes, size: int = 56) -> bytes:
    """An Ethernet frame for a station's MAC: a ping from red to the internet, as ping(8) sends it."""
    body = struct.pack(">HH", 0x7E57, 1) + bytes(size)
    icmp = struct.pack(">BBH", 8, 0, checksum(b"\x08\0\0\0" + body)) + body
    addresses = socket.inet_aton(SOURCE) + socket.inet_aton(DESTINATION)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(icmp), 0, 0, 64, 1, 0) + addresses
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return station + SOURCE_MAC + b"\x08\0" + head + icmp


def flood(interface: str, frame: bytes, rate: int, seconds: float) -> tuple[int, float]:
    """Offer `rate` packets a second for so long, or until SIGTERM; how many it were, in how many seconds."""
    data = ctypes.create_string_buffer(frame, len(frame))
    vector = Vector(ctypes.addressof(data), len(frame))
    messages = (Message * BATCH)(*(Message(Header(iov=ctypes.addressof(vector), iovlen=1)) for _ in range(BATCH)))
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
        out.bind((interface, 0))
        print("flooding", flush=True)
        sent, start = 0, time.monotonic()
        while not ended and (passed := time.monotonic() - start) < seconds:
            if sent >= passed * rate:
                time.sleep(BATCH / rate)
                continue
            done = libc.sendmmsg(out.fileno(), messages, BATCH, 0)
            if done < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            sent += done
        return sent, time.monotonic() - start


if __name__ == "__main__":
    count, took = flood(sys.argv[1], echo_request(bytes.fromhex(sys.argv[2])), int(sys.argv[3]), float(sys.argv[4]))
    print(f"{count} packets in {took:.3f} s, {count / took:.0f} a second")
