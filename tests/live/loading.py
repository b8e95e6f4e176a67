"""BPF programs loaded, attached and run by bpf(2), in the lab's process or in the test's own."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from netprobe.lab import build
from netprobe.linux.tables.programs import SYSCALLS

MAP_CREATE, MAP_LOOKUP_ELEM, PROG_LOAD, PROG_TEST_RUN, LINK_CREATE, OBJ_GET_INFO_BY_FD = 0, 1, 5, 10, 28, 15
CLASSIFIER, XDP = 3, 6  # BPF_PROG_TYPE_*
HASH, ARRAY, PER_CPU_HASH, PER_CPU_ARRAY, LRU_HASH = 1, 2, 5, 6, 9  # BPF_MAP_TYPE_*
GENERIC, DRIVER = 2, 4  # XDP_FLAGS_*_MODE
SIDES = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}
TCX = {"ingress": 46, "egress": 47}

_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """The kernel does not want that."""


def _bpf(command: int, given: bytes) -> tuple[int, bytes]:
    attributes = ctypes.create_string_buffer(given, max(len(given), 128))
    result = int(_libc.syscall(SYSCALLS[os.uname().machine], command, attributes, len(attributes)))
    if result < 0:
        raise Refused(errno.errorcode.get(ctypes.get_errno(), "?"))
    return result, attributes.raw


def make_map(kind: int) -> int:
    """A map of one entry of 8 bytes; its descriptor."""
    return _bpf(MAP_CREATE, struct.pack("=IIIII", kind, 4, 8, 1, 0))[0]


def load(kind: int, code: bytes) -> int:
    """A program that may be loaded; its descriptor. Raises Refused where the verifier does not take it."""
    instructions, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    given = struct.pack("=IIQQ", kind, len(code) // 8, ctypes.addressof(instructions), ctypes.addressof(licence))
    return _bpf(PROG_LOAD, given)[0]


def number(program: int) -> int:
    """The id of a program that is open."""
    information = ctypes.create_string_buffer(8)
    _bpf(OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", program, 8, ctypes.addressof(information)))
    return int.from_bytes(information.raw[4:8], "little")


def answered(program: int, packet: bytes) -> tuple[int, bytes]:
    """What the kernel gets from a program for a packet (BPF_PROG_TEST_RUN), and the packet afterwards."""
    given, back = ctypes.create_string_buffer(packet, len(packet)), ctypes.create_string_buffer(len(packet) + 64)
    request = struct.pack("=IIIIQQ", program, 0, len(packet), len(back), ctypes.addressof(given), ctypes.addressof(back))
    _, said = _bpf(PROG_TEST_RUN, request)
    returned, _, length = struct.unpack_from("=III", said, 4)
    return returned, back.raw[:length]


def at_xdp(interface: str, code: bytes, mode: int = GENERIC) -> None:
    """Put an XDP program before an interface of `host`, which keeps it."""
    program = load(XDP, code)
    with build.talk("host") as talk:
        talk.link("set", index=build.index(talk, interface), xdp={"attrs": [("IFLA_XDP_FD", program), ("IFLA_XDP_FLAGS", mode)]})
    os.close(program)


def at_tc(interface: str, side: str, *codes: bytes, **options: object) -> None:
    """Put classifiers behind each other at an interface of `host`, which has a clsact qdisc."""
    with build.talk("host") as talk:
        for priority, code in enumerate(codes, 1):
            program = load(CLASSIFIER, code)
            chosen = {"direct_action": True, **options}
            talk.tc("add-filter", "bpf", build.index(talk, interface), priority, fd=program, name=f"t{priority}",
                    parent=SIDES[side], prio=priority, classid=1, **chosen)  # fmt: skip
            os.close(program)


def at_tcx(index: int, side: str, code: bytes) -> int:
    """Attach a classifier by tcx; the link, which ends when it is closed."""
    program = load(CLASSIFIER, code)
    try:
        return _bpf(LINK_CREATE, struct.pack("=IIII", program, index, TCX[side], 0))[0]
    finally:
        os.close(program)
