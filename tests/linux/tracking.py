"""What the tests of connection tracking do inside a lab."""

from __future__ import annotations

from observing import handles, send

from netprobe.linux.netns import inside, open_namespace
from netprobe.linux.tables.conntrack import entries
from netprobe.model import Blind, ConntrackEntry, Flow


def after_a_probe(flow: Flow, *arguments: object) -> tuple[ConntrackEntry, ...] | Blind:
    """Send a probe, then look up a flow in the host."""
    send(*arguments)  # type: ignore[arg-type]
    with handles(("host",)) as opened:
        return entries(opened["host"], flow)


def after_probes(flow: Flow, *probes: tuple[object, ...]) -> tuple[ConntrackEntry, ...] | Blind:
    """Send several probes, then look up a flow in the host."""
    for probe in probes:
        send(*probe)  # type: ignore[arg-type]
    with handles(("host",)) as opened:
        return entries(opened["host"], flow)


def without_privilege(flow: Flow) -> tuple[ConntrackEntry, ...] | Blind:
    """Look up a flow from a process that gave up CAP_NET_ADMIN, in the namespace it is in."""
    import ctypes
    import multiprocessing
    from unittest.mock import patch

    def look() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(24, 12, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_NET_ADMIN
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        data = (ctypes.c_uint32 * 6)()
        libc.capget(header, data)
        for part in (0, 1):  # effective, permitted
            data[part] &= ~(1 << 12)
        libc.capset(header, data)
        fd = open_namespace("/proc/self/ns/net")
        with patch("netprobe.linux.tables.conntrack.inside", lambda _: inside(fd)):
            sender.send(entries(fd, flow))

    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=look)
    process.start()
    try:
        found: tuple[ConntrackEntry, ...] | Blind = receiver.recv()
        return found
    finally:
        process.join()
