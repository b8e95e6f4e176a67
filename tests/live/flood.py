"""A bounded flood of packets: `python flood.py INTERFACE FRAMES RATE SECONDS`, in the namespace that it leaves. Prints what it did.

FRAMES are hexadecimal, with commas between them; they are sent in turns. One process and one system call for 64 packets:
sendmmsg(2) on a packet socket, paced by the clock. What counts is what was offered, so a packet that the interface refuses (ENOBUFS)
counts as well; it does not happen on a veth.
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


def arp_request(sender: str, target: str) -> bytes:
    """An ARP request to everybody."""
    ends = SOURCE_MAC + socket.inet_aton(sender) + bytes(6) + socket.inet_aton(target)
    return b"\xff" * 6 + SOURCE_MAC + b"\x08\x06" + struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + ends


def solicitation(sender: str, target: str) -> bytes:
    """A neighbour solicitation to all nodes, whose stacks drop it for its checksum."""
    asked = socket.inet_pton(socket.AF_INET6, target)
    body = struct.pack(">BBHI", 135, 0, 0, 0) + asked
    ends = socket.inet_pton(socket.AF_INET6, sender) + socket.inet_pton(socket.AF_INET6, "ff02::1")
    return b"\x33\x33\0\0\0\x01" + SOURCE_MAC + b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, len(body), 58, 255) + ends + body


def later_fragment(station: bytes, source: str, destination: str) -> bytes:
    """A fragment that does not begin its datagram, of a datagram that never gets complete."""
    if ":" in source:
        body = struct.pack(">BBHI", 17, 0, 1480 | 1, 7) + bytes(64)
        ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
        return station + SOURCE_MAC + b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, len(body), 44, 64) + ends + body
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + 64, 7, 0x2000 | 185, 64, 17, 0) + ends
    return station + SOURCE_MAC + b"\x08\0" + head[:10] + struct.pack(">H", checksum(head)) + head[12:] + bytes(64)


def messages_of(frames: list[bytes]) -> ctypes.Array[Message]:
    """What sendmmsg(2) takes: BATCH packets, the frames in turns."""
    vectors = []
    for n in range(BATCH):
        data = ctypes.create_string_buffer(frames[n % len(frames)], len(frames[n % len(frames)]))
        vectors.append((Vector(ctypes.addressof(data), len(data)), data))
    messages = (Message * BATCH)(*(Message(Header(iov=ctypes.addressof(vector), iovlen=1)) for vector, _ in vectors))
    messages.kept = vectors  # type: ignore[attr-defined] # what the pointers point to
    return messages


def flood(interface: str, frames: list[bytes], rate: int, seconds: float) -> tuple[int, float]:
    """Offer `rate` packets a second for so long, or until SIGTERM; how many it were, in how many seconds."""
    messages = messages_of(frames)
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
    count, took = flood(sys.argv[1], list(map(bytes.fromhex, sys.argv[2].split(","))), int(sys.argv[3]), float(sys.argv[4]))
    print(f"{count} packets in {took:.3f} s, {count / took:.0f} a second")
