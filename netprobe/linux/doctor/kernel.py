"""What the kernel offers: packet sockets, nf_tables, user namespaces for the demo; how full its neighbour
tables are.
"""

from __future__ import annotations

import os
from contextlib import closing

from netprobe.kernel.neighbours import AF_INET, AF_INET6, Fullness, NeighbourTable
from netprobe.linux import files
from netprobe.model.command import Command
from netprobe.model.examination import Finding, State

NEARLY = 0.8  # of the hard limit
PACKETS = "/proc/thread-self/net/packet"  # packet(7): there as soon as the kernel has packet sockets
FORBIDDING = {  # what keeps ordinary users from making namespaces, and the value that does
    "user.max_user_namespaces": "0",
    "kernel.unprivileged_userns_clone": "0",
    "kernel.apparmor_restrict_unprivileged_userns": "1",
}
ALLOWING = {
    "user.max_user_namespaces": "10000",
    "kernel.unprivileged_userns_clone": "1",
    "kernel.apparmor_restrict_unprivileged_userns": "0",
}


def kernel() -> Finding:
    """Whether the kernel has what probes are watched with."""
    release = f"Linux {os.uname().release}"
    if not files.exists(PACKETS):
        effect = "no probe can be watched; the kernel loads them itself where it may"
        way = Command.of("modprobe", "af_packet")
        return Finding("kernel", State.LIMITED, f"{release} without packet sockets", effect, way)
    return Finding("kernel", State.OK, f"{release} with packet sockets")


def user_namespaces(user: int) -> list[Finding]:
    """What keeps an ordinary user from the demo; nothing where it does not."""
    forbidding = [name for name, value in FORBIDDING.items() if _setting(name) == value]
    if user == 0 or not forbidding:
        return []
    name = forbidding[0]
    return [
        Finding(
            "user namespaces",
            State.LIMITED,
            f"{name} is {FORBIDDING[name]}",
            "the demo, and labs of your own, need root",
            Command.of("sudo", "sysctl", "-w", f"{name}={ALLOWING[name]}"),
        )
    ]


def _setting(name: str) -> str:
    try:
        return files.setting("/proc/sys/" + name.replace(".", "/")).decode().strip()
    except OSError:
        return ""


def neighbour_tables() -> list[Finding]:
    """How full the neighbour tables are, which are one for all namespaces."""
    found = []
    for family, version in ((AF_INET, "ipv4"), (AF_INET6, "ipv6")):
        try:
            with closing(NeighbourTable()) as table:
                found.append(neighbours(version, table.fullness(family)))
        except OSError:  # a kernel without IPv6
            continue
    return found


def neighbours(version: str, table: Fullness) -> Finding:
    """Whether there is room for the entries that probes make."""
    subject = f"neighbours {version}"
    fact = f"{table.entries} of at most {table.hard} entries, one table for all namespaces"
    if table.entries < NEARLY * table.hard:
        return Finding(subject, State.OK, fact)
    key = f"net.{version}.neigh.default.gc_thresh"
    # the kernel throws away what is older than 5 s from the soft limit on: neigh_alloc, neigh_forced_gc
    hard = 4 * max(table.hard, table.entries)
    way = Command.of(
        "sysctl", "-w", f"{key}2={hard // 2}", f"{key}3={hard}", note="in the machine's own namespace"
    )
    effect = "where it is full no new neighbour is resolved, and packets are lost that no rule drops"
    return Finding(subject, State.LIMITED, fact, effect, way)
