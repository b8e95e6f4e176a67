"""The counters that tell where packets were lost, under the names that nstat(8) gives them.

Conntrack's own are per CPU and hexadecimal in /proc/net/stat; they are added up here. Those of the neighbour
tables are asked for by netlink (`neighbours.read_asking`): /proc shows them to the first namespace alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from netprobe.linux import files

HERE = "/proc/thread-self/net"  # /proc/net is the main thread's
PAIRED = ("snmp", "netstat")  # a line of names, then a line of numbers
LISTED = ("snmp6", "xfrm_stat")  # a name and a number on each line
PER_CPU = {"nf_conntrack": "conntrack"}


def read_counters() -> dict[str, int]:
    """All counters of the namespace this thread is in. What this kernel does not have is left out."""
    counters: dict[str, int] = {}
    for name in PAIRED:
        counters |= paired(_lines(name))
    for name in LISTED:
        counters |= _listed(_content(name))
    for name, stem in PER_CPU.items():
        counters |= per_cpu(stem, _lines(f"stat/{name}"))
    return counters


def _lines(name: str) -> list[str]:
    return _content(name).decode("ascii", "replace").splitlines()


def _content(name: str) -> bytes:
    try:
        return files.kernel(f"{HERE}/{name}")
    except OSError:
        return b""


@lru_cache(maxsize=64)  # IPv6's and IPsec's rarely move
def _listed(content: bytes) -> Mapping[str, int]:
    return listed(content.decode("ascii", "replace").splitlines())


def paired(lines: Sequence[str]) -> dict[str, int]:
    """/proc/net/snmp and netstat: `Ip: InReceives …` over `Ip: 17 …` gives {"IpInReceives": 17}."""
    counters: dict[str, int] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        counters |= _paired(names, values)
    return counters


@lru_cache(maxsize=64)  # those of what nobody uses stand still
def _paired(names: str, values: str) -> Mapping[str, int]:
    return dict(zip(_named(names), map(int, values.split()[1:]), strict=False))


@lru_cache(maxsize=64)  # a kernel has the same in all namespaces
def _named(line: str) -> tuple[str, ...]:
    """The names of counters in a line of them."""
    stem, *names = line.split()
    return tuple(stem.removesuffix(":") + name for name in names)


def listed(lines: Iterable[str]) -> dict[str, int]:
    """/proc/net/snmp6 and xfrm_stat: `Ip6InReceives 17`."""
    return {words[0]: int(words[1]) for line in lines if len(words := line.split()) == 2}


def per_cpu(stem: str, lines: list[str]) -> dict[str, int]:
    """/proc/net/stat/*: a line of names, then one of hexadecimal numbers a CPU; {"conntrack.insert_failed":
    the sum}.

    `entries` is the same on each line, not a part of a sum.
    """
    if len(lines) < 2:
        return {}
    names = lines[0].split()
    rows = [[int(value, 16) for value in line.split()] for line in lines[1:]]
    sums = {f"{stem}.{name}": sum(row[at] for row in rows if at < len(row)) for at, name in enumerate(names)}
    if names and names[0] == "entries":
        sums[f"{stem}.entries"] = rows[0][0]
    return sums
