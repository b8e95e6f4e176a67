"""The sockets that could take a packet:

TCP listeners, UDP and raw sockets, by sock_diag, or by /proc where that is missing.

Source: include/uapi/linux/{inet_diag,sock_diag}.h; Documentation/networking/proc_net_tcp.rst.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from itertools import chain

from netprobe.linux import files
from netprobe.linux.netlink import SOCK_DIAG, Netlink, Record, Request, address
from netprobe.model import ROUTED, Socket

from .bpf import cgroup_programs

SOCK_DIAG_BY_FAMILY = 20
INET_DIAG_SKMEMINFO = 7
# include/net/tcp_states.h; an unconnected UDP or raw socket is in state CLOSE
ESTABLISHED, CLOSE, LISTEN = 1, 7, 10
STATES = {ESTABLISHED: "established", CLOSE: "unconnected", LISTEN: "listen"}
RMEM, RCVBUF = 0, 1  # positions in the array of INET_DIAG_SKMEMINFO
TRANSPARENT = 1 << 5 if sys.byteorder == "little" else 1 << 2  # a bit field of C
V4_MAPPED = "::ffff:"  # how an IPv4 address starts that an IPv6 socket is bound to

NUMBERS = {str(each): number for number, each in sorted(ROUTED.items()) if each.is_listed}
UNCONNECTED = (ESTABLISHED, CLOSE)  # a peer may be set all the same
WANTED = {name: (LISTEN,) if ROUTED[number].connects else UNCONNECTED for name, number in NUMBERS.items()}


def read_sockets() -> tuple[Socket, ...]:
    """The listening TCP, and all UDP and raw sockets of the namespace this thread is in.

    Raises OSError when there is no way.
    """
    raw = tuple(_listed("raw"))  # not by sock_diag: raw_diag is a module that would be loaded for it
    try:
        with Netlink(SOCK_DIAG) as netlink:
            return (*_diagnosed(netlink), *raw)
    except OSError:
        return (*chain.from_iterable(map(_listed, NUMBERS)), *raw)


def _diagnosed(netlink: Netlink) -> Iterator[Socket]:
    programs = _Programs()
    for name in NUMBERS:
        yield from (socket_of(name, record, programs) for record in _dumped(netlink, name))


def _dumped(netlink: Netlink, name: str) -> Iterator[Record]:
    """The sockets of a protocol that could take a packet, of both IP versions."""
    for family in (socket.AF_INET, socket.AF_INET6):
        fields = {
            "sdiag_family": family,
            "sdiag_protocol": NUMBERS[name],
            "idiag_ext": 1 << INET_DIAG_SKMEMINFO - 1,
            "idiag_states": sum(1 << state for state in WANTED[name]),
        }
        yield from netlink.dump(Request(SOCK_DIAG_BY_FAMILY, fields))


def inodes(protocol: str, port: int) -> frozenset[int]:
    """The inodes of the sockets of the namespace this thread is in that take strangers' packets to a port.

    None are of a protocol whose sockets are not read. Raises OSError where sock_diag is missing.
    """
    if protocol not in NUMBERS:
        return frozenset()
    with Netlink(SOCK_DIAG) as netlink:
        return frozenset(
            record["idiag_inode"]
            for record in _dumped(netlink, protocol)
            if record["idiag_sport"] == port and not record["idiag_dport"]
        )


def socket_of(protocol: str, record: Record, programs: Mapping[int, tuple[str, ...]] | None = None) -> Socket:
    """One socket from an inet_diag_msg; `programs` are those of a cgroup, by its id."""
    state, peer = record["idiag_state"], record["idiag_dport"]
    memory = record.get("INET_DIAG_SKMEMINFO", (0, 0))
    cgroup = record.get("INET_DIAG_CGROUP_ID", 0)
    return Socket(
        protocol=protocol,
        address=_unmapped(record["idiag_src"]),
        port=record["idiag_sport"],
        state=STATES.get(state, str(state)),
        uid=record["idiag_uid"],
        interface=record["idiag_if"],
        queue=(
            (record["idiag_rqueue"], record["idiag_wqueue"])
            if state == LISTEN
            else (memory[RMEM], memory[RCVBUF])
        ),
        v6only=bool(record.get("INET_DIAG_SKV6ONLY")),
        peer=(_unmapped(record["idiag_dst"]), peer) if peer else None,
        programs=programs[cgroup] if cgroup and programs is not None else (),
        transparent=_is_transparent(record),
    )


def _is_transparent(record: Record) -> bool | None:
    """Whether a socket has IP_TRANSPARENT; None of a kernel that does not say (struct inet_diag_sockopt)."""
    flags = record.get("INET_DIAG_SOCKOPT", ())
    return bool(flags[0] & TRANSPARENT) if flags else None


class _Programs(dict[int, tuple[str, ...]]):
    """The programs of a cgroup by its id, asked for once a read."""

    def __missing__(self, cgroup: int) -> tuple[str, ...]:
        self[cgroup] = found = cgroup_programs(cgroup)
        return found


def _unmapped(text: str) -> str:
    """The address; an IPv4 one that an IPv6 socket is bound to (::ffff:10.0.0.1) as the IPv4 address that it
    is.
    """
    return text.removeprefix(V4_MAPPED) if "." in text else text


def _listed(protocol: str) -> Iterator[Socket]:
    """The same from /proc/thread-self/net, which lacks the size of a buffer or backlog (0 there)."""
    wanted = [STATES[state] for state in WANTED.get(protocol, UNCONNECTED)]
    for suffix in ("", "6"):
        try:
            lines = files.kernel(f"/proc/thread-self/net/{protocol}{suffix}").decode("ascii").splitlines()[1:]
        except FileNotFoundError:
            if not suffix:
                raise
            continue  # a kernel without IPv6 has no tcp6
        found = (socket_of_line(protocol, line) for line in lines)
        yield from (each for each in found if each.state in wanted)


def socket_of_line(protocol: str, line: str) -> Socket:
    """One socket from a line of /proc/net/{tcp,udp,raw}{,6}."""
    words = line.split()
    local, remote, state = words[1], words[2], int(words[3], 16)
    peer = int(remote.split(":")[1], 16)
    return Socket(
        protocol=protocol,
        address=_of_hex(local.split(":")[0]),
        port=int(local.split(":")[1], 16),
        state=STATES.get(state, str(state)),
        uid=int(words[7]),
        queue=(int(words[4].split(":")[1], 16), 0),
        peer=(_of_hex(remote.split(":")[0]), peer) if peer else None,
    )


def _of_hex(digits: str) -> str:
    """An address as /proc/net writes it: 32 bit words in the machine's byte order."""
    words = (int(digits[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(digits), 8))
    return _unmapped(address(b"".join(words)))
