"""What netfilter shows in /proc: the tables of the old engine, lists of recent addresses, queues with a
listener. Reading loads nothing.
"""

from __future__ import annotations

import re

from netprobe.linux import files
from netprobe.model import RecentEntry, RecentList
from netprobe.model.pattern import pattern

NET = "/proc/thread-self/net"  # /proc/net is the main thread's namespace
LEGACY_NAMES = {"ip": "ip_tables_names", "ip6": "ip6_tables_names", "arp": "arp_tables_names"}
_LEGACY_MODULE = pattern(rb"^(?:ip6?|arp)table_(?:filter|nat|mangle|raw|security) ", re.MULTILINE)
_STAMPS = pattern(r"src=(\S+) ttl: (\d+) last_seen: (\d+) oldest_pkt: \d+ (.*)")
_NOW = pattern(rb"^now at (\d+) nsecs$", re.MULTILINE)
RATES = (250, 1000, 100, 300)  # CONFIG_HZ
_JIFFIES = pattern(rb"^jiffies: (\d+)$", re.MULTILINE)


def legacy_families() -> tuple[str, ...]:
    """The families in which the old engine (getsockopt, xtables-legacy) has tables.

    Raises OSError when that cannot be told.

    In a namespace that was made together with its user namespace the files belong to the machine's root;
    where none of the engine's modules is loaded there is nothing in them.
    """
    try:
        return tuple(family for family, name in LEGACY_NAMES.items() if _read(f"{NET}/{name}").strip())
    except PermissionError:
        modules = _read("/proc/modules")
        if modules and not _LEGACY_MODULE.search(modules):
            return ()
        raise


def _read(path: str) -> bytes:
    """The file's content; nothing when it is not there, which means that the kernel has no such engine."""
    try:
        return files.kernel(path)
    except FileNotFoundError:
        return b""


def listening_queues() -> tuple[int, ...] | None:
    """The NFQUEUE numbers that a program listens on; None when the kernel does not tell.

    Source: nfnetlink_queue.c (seq_show).
    """
    try:
        lines = files.kernel(f"{NET}/netfilter/nfnetlink_queue").splitlines()
        return tuple(int(line.split()[0]) for line in lines if line.strip())
    except FileNotFoundError:
        return ()
    except (OSError, ValueError):
        return None


def recent_lists() -> tuple[RecentList, ...]:
    """The lists of xt_recent.

    Stamps are jiffies; their age needs the present, which /proc/timer_list knows.
    """
    folder = f"{NET}/xt_recent"
    try:
        names = sorted(files.entries(folder))
    except OSError:
        return ()
    found = []
    now = _jiffies() if names else None
    for name in names:
        try:
            entries = _entries(_read(f"{folder}/{name}").decode("ascii", "replace"), now)
        except OSError:
            continue
        if entries is not None:
            found.append(RecentList(name, entries))
    return tuple(found)


def _entries(content: str, now: tuple[int, int] | None) -> tuple[RecentEntry, ...] | None:
    """The entries of one list; None when there are some and their age cannot be told."""
    found = []
    for address, ttl, last, stamps in _STAMPS.findall(content):
        if now is None:
            return None
        jiffies, hertz = now
        seen = sorted({int(last), *(int(stamp) for stamp in stamps.replace(",", " ").split())}, reverse=True)
        found.append(
            RecentEntry(address, tuple(max(0, jiffies - stamp) * 1000 // hertz for stamp in seen), int(ttl))
        )
    return tuple(found)


def _jiffies() -> tuple[int, int] | None:
    """The kernel's clock in ticks, and how many of them make a second; None where /proc/timer_list is not for
    us.

    The clock starts 300 s before its lower half wraps (INITIAL_JIFFIES, include/linux/jiffies.h); so the time
    since the start tells which of the possible rates it runs at.
    """
    try:
        content = _read("/proc/timer_list")
    except OSError:
        return None
    jiffies, now = _JIFFIES.search(content), _NOW.search(content)
    if jiffies is None or now is None:
        return None
    ticks, seconds = int(jiffies[1]), int(now[1]) / 1e9
    return ticks, min(RATES, key=lambda rate: abs(ticks - ((1 << 32) + rate * (seconds - 300))))
