"""BPF programs that are really loaded: what the kernel gets from them, and what `why` and a packet say.

The instructions are written here (tests/rules/instructions.py): no compiler is asked for.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from asking import ask, trace
from instructions import add, by_byte, call, copy, counted, load, mov, raw, returned, store, store_number
from loading import (
    ARRAY,
    CLASSIFIER,
    DRIVER,
    GENERIC,
    HASH,
    LRU_HASH,
    PER_CPU_ARRAY,
    PER_CPU_HASH,
    XDP,
    Refused,
    answered,
    at_tc,
    at_tcx,
    at_xdp,
    make_map,
    number,
)
from loading import load as loaded

from netprobe.lab.lab import Lab
from netprobe.lab.namespaces import entered
from netprobe.linux.tables import programs, tc
from netprobe.model import Link

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may load a program"),
]
as_root = pytest.mark.parametrize("privilege", ["root"], indirect=True, scope="session")

ABORTED, DROP, PASS = 0, 1, 2  # XDP_*
OK, SHOT, UNSPEC, PIPE = 0, 2, -1, 3  # TC_ACT_*
ICMP = 1
XDP_DATA, TC_DATA = (0, 4, 4), (76, 80, 4)  # struct xdp_md and __sk_buff: data, data_end, their width
PACKET = bytes.fromhex("020000000002020000000001 0800 45000054000040004001") + bytes(60)


@contextmanager
def opened(kind: int, code: bytes) -> Iterator[int]:
    program = loaded(kind, code)
    try:
        yield program
    finally:
        os.close(program)


def test_the_words_of_xdp() -> None:
    for answer, word in [(ABORTED, "drop"), (DROP, "drop"), (PASS, "pass"), (3, "tx"), (4, "redirect"), (77, "drop")]:
        with opened(XDP, returned(answer)) as program:
            assert programs.xdp_answers(number(program)) == (word,)
    with opened(XDP, by_byte(*XDP_DATA, 23, ICMP, DROP, PASS)) as program:
        assert programs.xdp_answers(number(program)) == ("drop", "pass")
        assert (answered(program, PACKET)[0], answered(program, bytes(60))[0]) == (DROP, PASS)


def test_the_words_of_classifiers() -> None:
    for answer, direct, tcx in [(OK, "pass", "pass"), (SHOT, "drop", "drop"), (UNSPEC, "continue", "continue"), (PIPE, "continue", None)]:
        with opened(CLASSIFIER, returned(answer)) as program:
            assert programs.direct_answers(number(program)) == (direct,)
            assert programs.tcx_answers(number(program)) == (None if tcx is None else (tcx,))


@pytest.mark.parametrize("kind", [ARRAY, HASH, LRU_HASH, PER_CPU_ARRAY, PER_CPU_HASH])
def test_a_program_that_counts(kind: int) -> None:
    """The verifier writes the lookup out for each kind of map."""
    counter = make_map(kind)
    is_array = kind in (ARRAY, PER_CPU_ARRAY)  # whose entries are always there
    with opened(XDP, counted(counter, PASS, PASS)) as program:
        assert programs.xdp_answers(number(program)) == ("pass",)
        assert answered(program, PACKET) == (PASS, PACKET)
    with opened(XDP, counted(counter, PASS, ABORTED)) as program:
        assert programs.xdp_answers(number(program)) == (("pass",) if is_array else ("drop", "pass"))
        assert answered(program, PACKET)[0] == (PASS if is_array else ABORTED)
    os.close(counter)


def test_what_touches_the_packet_is_not_understood() -> None:
    shortened = mov(2, 14) + call("bpf_xdp_adjust_head") + returned(PASS)
    written = load(4, 2, 1, 0) + load(4, 3, 1, 4) + copy(4, 2) + add(4, 1) + raw(0x2D, 4, 3, 1) + store_number(1, 2, 0, 5) + returned(PASS)
    for code in (shortened, written):
        with opened(XDP, code) as program:
            assert answered(program, PACKET)[1] != PACKET
            assert programs.xdp_answers(number(program)) is None
    marked = store_number(4, 1, 8, 5) + returned(OK)  # __sk_buff.mark
    with opened(CLASSIFIER, marked) as program:
        assert programs.direct_answers(number(program)) is None


def test_a_program_that_is_gone() -> None:
    assert programs.xdp_answers(0xFFFFFFF0) is None
    assert programs.name_of(0xFFFFFFF0) == ""


ALU = (0x00, 0x10, 0x20, 0x40, 0x50, 0xA0, 0xB0)  # add, sub, mul, or, and, xor, mov
JUMPS = (0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xA0, 0xB0, 0xC0, 0xD0)


def drawn(rng: Random) -> bytes:
    """A program that the verifier may take: calculates with constants, one byte of the packet and its stack, and jumps ahead."""
    begin = load(4, 2, 1, 0) + load(4, 3, 1, 4) + copy(4, 2) + add(4, 24) + mov(6, 9) + raw(0x2D, 4, 3, 1) + load(1, 6, 2, 23)
    begin += b"".join(mov(register, rng.randint(-3, 5)) for register in (7, 8, 9))
    body: list[bytes] = []
    for left in range(12, 0, -1):
        dst, src = rng.choice((7, 8, 9)), rng.choice((6, 7, 8, 9))
        width, immediate = rng.choice((0x04, 0x07)), rng.randint(-4, 5)
        by_register = rng.choice((0, 8))
        kind = rng.choice(("calculate", "shift", "jump", "jump", "keep"))
        if kind == "calculate":
            body.append(raw(rng.choice(ALU) | width | by_register, dst, src if by_register else 0, 0, 0 if by_register else immediate))
        elif kind == "shift":
            body.append(raw(rng.choice((0x60, 0x70, 0xC0)) | width, dst, immediate=rng.randint(0, 31)))
        elif kind == "jump":
            condition = rng.choice(JUMPS) | rng.choice((0x05, 0x06)) | by_register
            body.append(raw(condition, dst, src if by_register else 0, rng.randint(0, min(3, left - 1)), 0 if by_register else immediate))
        else:
            body.append(store(8, 10, dst, -8))
    end = store(8, 10, 7, -16) + load(8, 8, 10, -16) + raw(0x4F, 9, 8) if rng.random() < 0.3 else b""
    return begin + b"".join(body) + end + copy(0, rng.choice((7, 8, 9))) + raw(0x95)


def test_what_the_kernel_gets_is_among_the_answers() -> None:
    """Drawn programs, each run by the kernel over packets that differ in the byte they look at."""
    rng, understood, several = Random(7), 0, 0
    for _ in range(600):
        try:
            with opened(XDP, drawn(rng)) as program:
                found = programs._answers(number(program))
                got = {answered(program, PACKET[:23] + bytes([byte]) + PACKET[24:])[0] for byte in (0, 1, 2, 5, 6, 17, 128, 255)}
        except Refused:
            continue
        understood += found is not None
        several += found is not None and len(found) > 1
        assert found is None or got <= found
    assert understood > 50
    assert several > 10


def said(lab: Lab) -> tuple[tuple[str, list[str], str | None], tuple[str, str, list[str]]]:
    """What `why` says, and what the packet shows."""
    foretold: dict[str, Any] = ask(lab, "why", "-o", "json", "red", "8.8.8.8").report
    lab.run(["ip", "neigh", "flush", "all"], check=True)
    shown = trace(lab, "red", "8.8.8.8")
    codes = [[cause["code"] for cause in report["causes"][:1]] for report in (foretold, shown)]
    return (foretold["verdict"], codes[0], foretold["direction"]), (shown["verdict"], shown["agreement"], codes[1])


FINE = ("reachable", [], None), ("reachable", "confirmed", [])


@as_root
@pytest.mark.parametrize("mode", [GENERIC, DRIVER])
def test_xdp_on_the_way(fresh_lab: Lab, mode: int) -> None:
    code = "filtered-by-xdp"
    fresh_lab.call(at_xdp, "veth0", returned(PASS), mode)
    assert said(fresh_lab) == FINE
    fresh_lab.call(at_xdp, "veth0", returned(DROP), mode)
    assert said(fresh_lab) == (("unreachable", [code], "request"), ("unreachable", "confirmed", [code]))
    fresh_lab.call(at_xdp, "veth0", by_byte(*XDP_DATA, 23, ICMP, ABORTED, PASS), mode)
    why, shown = said(fresh_lab)
    assert why[0] == "undetermined"
    assert shown == ("unreachable", "observed-only", [code])


@as_root
def test_xdp_on_the_way_back(fresh_lab: Lab) -> None:
    fresh_lab.call(at_xdp, "eth0", by_byte(*XDP_DATA, 12, 8, DROP, PASS))  # all but ARP
    assert said(fresh_lab)[1][::2] == ("unreachable", ["filtered-by-xdp"])
    fresh_lab.call(at_xdp, "eth0", returned(DROP))
    why, shown = said(fresh_lab)
    assert (why[:2], shown) == (("unreachable", ["filtered-by-xdp"]), ("unreachable", "confirmed", ["filtered-by-xdp"]))


@as_root
def test_a_counter_on_the_way(fresh_lab: Lab) -> None:
    fresh_lab.call(counting, "veth0", PER_CPU_ARRAY)
    assert said(fresh_lab) == FINE


def counting(interface: str, kind: int) -> None:
    """In the lab."""
    counter = make_map(kind)
    at_xdp(interface, counted(counter, PASS, DROP if kind == HASH else PASS))
    os.close(counter)


@as_root
def test_classifiers_behind_each_other(fresh_lab: Lab) -> None:
    code, by_packet = "filtered-by-tc", by_byte(*TC_DATA, 23, ICMP, SHOT, OK)
    dropped = ("unreachable", [code], "request"), ("unreachable", "confirmed", [code])
    for filters, expected in [
        ((OK,), FINE),
        ((UNSPEC, PIPE), FINE),
        ((UNSPEC, SHOT), dropped),
        ((OK, SHOT), FINE),  # nothing comes to the second one
        ((SHOT, OK), dropped),
    ]:
        for side in ("ingress", "egress"):
            device = "veth0" if side == "ingress" else "eth0"
            fresh_lab.run(["tc", "qdisc", "replace", "dev", device, "clsact"], check=True)
            fresh_lab.call(at_tc, device, side, *map(returned, filters))
            assert said(fresh_lab) == expected, (filters, side)
            fresh_lab.run(["tc", "qdisc", "del", "dev", device, "clsact"], check=True)
    fresh_lab.run(["tc", "qdisc", "replace", "dev", "veth0", "clsact"], check=True)
    fresh_lab.call(at_tc, "veth0", "ingress", by_packet)
    why, shown = said(fresh_lab)
    assert (why[0], shown) == ("undetermined", ("unreachable", "observed-only", [code]))


@as_root
def test_a_classifier_that_chooses_a_class(fresh_lab: Lab) -> None:
    """Without direct-action 2 is the number of a class, and no word to drop."""
    fresh_lab.run(["tc", "qdisc", "replace", "dev", "veth0", "clsact"], check=True)
    fresh_lab.call(choosing, "veth0")
    why, shown = said(fresh_lab)
    assert why[0] == "undetermined"
    assert shown[:2] == ("reachable", "confirmed")


def choosing(interface: str) -> None:
    """In the lab."""
    at_tc(interface, "ingress", returned(SHOT), direct_action=False)


@as_root
def test_tcx_on_the_way(fresh_lab: Lab) -> None:
    try:
        fresh_lab.call(held, "veth0", returned(SHOT))
    except Refused as refused:
        pytest.skip(f"no tcx: {refused}")
    assert said(fresh_lab)[0] == ("unreachable", ["filtered-by-tc"], "request")


_HELD: list[int] = []


def held(interface: str, code: bytes) -> None:
    """In the lab, as long as that is."""
    import socket

    with entered("host"):
        _HELD.append(at_tcx(socket.if_nametoindex(interface), "ingress", code))


def test_a_program_whose_function_may_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what BTF describes can be, and only by a program that is loaded for it; then its own instructions say nothing."""
    monkeypatch.setattr(programs, "_understood", lambda program: (frozenset({PASS}), program == 1))
    for replaced in (False, True):
        monkeypatch.setattr(programs, "is_loaded", lambda _kind, found=replaced: found)
        assert programs.xdp_answers(1) == (None if replaced else ("pass",))
        assert programs.xdp_answers(2) == ("pass",)


@pytest.mark.parametrize(
    ("kinds", "refused", "most", "answer"),
    [
        ([], errno.ENOENT, 9, False),
        ([8, 15], errno.ENOENT, 9, False),
        ([8, 3], errno.ENOENT, 9, True),
        ([8, 15, 3], errno.ENOENT, 2, True),  # more than are looked at
        ([], errno.ENOENT, 0, True),
        ([8], errno.EPERM, 9, True),  # nobody may say
        ([None, 8], errno.ENOENT, 9, False),  # gone since
    ],
)
def test_whether_a_kind_of_program_is_loaded(
    monkeypatch: pytest.MonkeyPatch, kinds: list[int | None], refused: int, most: int, answer: bool
) -> None:
    def bpf(command: int, attributes: Any) -> bool:
        assert command == programs.PROG_GET_NEXT_ID
        [last] = struct.unpack_from("=I", attributes.raw)
        if last == len(kinds):
            ctypes.set_errno(refused)
            return False
        struct.pack_into("=I", attributes, 4, last + 1)
        return True

    def informed(program: int, _most: int) -> tuple[bytes, bytes]:
        if (kind := kinds[program - 1]) is None:
            raise FileNotFoundError
        return struct.pack("=I", kind).ljust(256, b"\0"), b""

    monkeypatch.setattr(programs, "bpf", bpf)
    monkeypatch.setattr(programs, "_informed", informed)
    assert programs.is_loaded(programs.CLASSIFIER, most) is answer


def test_programs_of_many_interfaces_are_not_asked_for_one_by_one_where_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(tc, "tcx_filters", lambda index: asked.append(index) or ())
    monkeypatch.setattr(tc, "_dumped", lambda _netlink: [])
    many = tuple(Link(n, f"v{n}") for n in range(1, 41))
    for is_there in (False, True):
        monkeypatch.setattr(programs, "is_loaded", lambda kind, most, found=is_there: (kind, most) == (programs.CLASSIFIER, 10) and found)
        assert tc.with_traffic_control(None, many) == many  # type: ignore[arg-type]
        assert asked == ([*range(1, 41)] if is_there else [])
