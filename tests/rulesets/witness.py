"""What the kernel itself says about a probe: whether it is answered, and which rule of `host` dropped it.

`wrong`, `answered`, `witnessed` and `said` are for the test; the rest runs inside the lab's process (`lab.call`), which sits in `host`.
nf_tables names the rule in its trace messages (include/uapi/linux/netfilter/nf_tables.h, NFTA_TRACE_*); of the old engine's rules the
counters tell.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

from asking import ask
from questions import Probe

from netprobe.lab.lab import Lab

KNOCK = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET, kind) as s:
    s.settimeout(1)
    s.setsockopt(socket.SOL_IP, 11, 1)  # IP_RECVERR: errors of every kind count
    s.bind(("", int(sys.argv[4])))
    try:
        s.connect((sys.argv[2], int(sys.argv[3])))
        if kind == socket.SOCK_DGRAM:
            s.send(b"shape")
            s.recv(100)
    except OSError:
        sys.exit(1)
"""
# by its port a probe is told from an earlier one, whose answers may still be sent again
_OWN = " ".join(
    (
        "ip protocol icmp meta nftrace set 1;",
        *(f"meta l4proto {{ tcp, udp }} th {end} PORT meta nftrace set 1;" for end in ("sport", "dport")),
    )
)
_TRACED = """
table inet witness {
  chain prerouting { type filter hook prerouting priority -510; OWN }
  chain output { type filter hook output priority -510; OWN }
}
table bridge witness {
  chain prerouting { type filter hook prerouting priority -510; ether type arp meta nftrace set 1; OWN }
  chain output { type filter hook output priority -510; ether type arp meta nftrace set 1; OWN }
}
""".replace("OWN", _OWN)
_PORTS = count(40000)
_NFNLGRP_NFTRACE, _NFT_MSG_TRACE = 9, 10 << 8 | 17
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_TABLE_NAME, _CHAIN, _HANDLE, _TYPE, _VERDICT, _POLICY = 1, 2, 3, 4, 5, 16
_RULE, _END = 3, 1  # NFT_TRACETYPE_RULE, NFT_TRACETYPE_POLICY
_TOOLS = {"ip": "iptables", "ip6": "ip6tables", "bridge": "ebtables", "arp": "arptables"}

_open: list[tuple[socket.socket, Counter[str]]] = []


def wrong(lab: Lab, probe: Probe) -> str:
    """Where netprobe and the wire disagree, in words; "" where they do not."""
    report = said(lab, probe)
    wire, dropping = witnessed(lab, probe)
    verdict = report["verdict"]
    if verdict != ("reachable" if wire else "unreachable"):
        return f"{probe}: {verdict}, the wire {wire}, dropped by {dropping}: {report['summary']}"
    cause = str(report["causes"][:1])
    if not wire and dropping and not any(name in cause for name in dropping):
        return f"{probe}: dropped by {dropping}, the cause is {cause}"
    return ""


def answered(lab: Lab, probe: Probe, port: int) -> bool:
    """Whether a real packet of the kernel's own programs is answered; one of TCP or UDP is sent from a port."""
    if probe.protocol == "icmp":
        return lab.run(["ping", "-n", "-c1", "-W1", probe.target], probe.source).returncode == 0
    knock = (sys.executable, "-c", KNOCK, probe.protocol, probe.target, str(probe.port), str(port))
    return lab.run(knock, probe.source).returncode == 0


def witnessed(lab: Lab, probe: Probe) -> tuple[bool, list[str]]:
    """Whether a real packet is answered, and the names that netprobe may give to the rules of `host` that dropped one."""
    port = next(_PORTS)
    lab.call(begin, port)
    try:
        return answered(lab, probe, port), lab.call(end)
    finally:
        lab.run(["nft", "delete table inet witness; delete table bridge witness"])


def said(lab: Lab, probe: Probe) -> dict[str, Any]:
    """The report of `netprobe why`."""
    port = ("-P", str(probe.port)) if probe.port is not None else ()
    for _ in range(5):
        report = ask(lab, "why", "-o", "json", probe.source, probe.target, "-p", probe.protocol, *port).report
        if not any(blind["why"] == "not read in time" for blind in report["blind"]):
            break  # a crowded machine is no defect of the reading
    return report


def begin(port: int) -> None:
    """From now on the kernel tells the way of each packet from or to a port, and of each ping, through the rules."""
    listening = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
    listening.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    listening.bind((0, 1 << _NFNLGRP_NFTRACE - 1))
    subprocess.run(["nft", "-f", "-"], input=_TRACED.replace("PORT", str(port)), text=True, check=True)
    _open.append((listening, _counted()))


def end() -> list[str]:
    """The rules and policies that dropped a packet since `begin`, the first one first."""
    listening, before = _open.pop()
    with listening:
        listening.setblocking(False)
        traced = list(_drops(listening))
    moved = [name for name, count in _counted().items() if count > before[name]]
    return [name for place in dict.fromkeys(traced) for name in _names(*place)] + moved


def _drops(listening: socket.socket) -> Iterator[tuple[str, str, str, int | None]]:
    """Family, table, chain and handle (None: the policy) of each drop."""
    while True:
        try:
            data = listening.recv(1 << 20)
        except BlockingIOError:
            return
        while len(data) >= 20:
            length, kind = struct.unpack_from("=IH", data)
            message, data = data[16:length], data[(length + 3) & ~3 :]
            if kind != _NFT_MSG_TRACE:
                continue
            found = dict(_attributes(message[4:]))
            place = (_FAMILIES[message[0]], _text(found.get(_TABLE_NAME)), _text(found.get(_CHAIN)))
            step = int.from_bytes(found[_TYPE], "big")
            verdict = dict(_attributes(found.get(_VERDICT, b""))).get(1)
            if step == _RULE and verdict == bytes(4):  # NF_DROP
                yield *place, int.from_bytes(found[_HANDLE], "big")
            elif step == _END and found.get(_POLICY) == bytes(4):
                yield *place, None


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]


def _text(data: bytes | None) -> str:
    return (data or b"").rstrip(b"\0").decode()


def _names(family: str, table: str, chain: str, handle: int | None) -> tuple[str, ...]:
    """As nft names it, and as the tools of xtables do: these count a chain's rules."""
    where = f"{table} {chain}"
    if handle is None:
        return f"nft {family} {where} policy", f"{_TOOLS.get(family)} {where} policy"
    # as a whole: nft takes no chain that is called as one of its own words
    listed = json.loads(subprocess.run(["nft", "-j", "list", "ruleset", family], capture_output=True, check=True).stdout)
    rules = [each["rule"] for each in listed["nftables"] if "rule" in each]
    handles = [rule["handle"] for rule in rules if (rule["table"], rule["chain"]) == (table, chain)]
    of_xtables = f"{_TOOLS.get(family)} {where}"  # ebtables keeps the policy of a chain of one's own as its last rule
    last = (f"{of_xtables} policy",) if family == "bridge" and handle == handles[-1] else ()
    return f"nft {family} {where} handle {handle}", f"{of_xtables} {handles.index(handle) + 1}", *last


def _counted() -> Counter[str]:
    """The old engine's rules and policies that end a packet, by netprobe's names, with their counters."""
    found: Counter[str] = Counter()
    for tool in ("iptables-legacy", "ip6tables-legacy"):
        table, number = "", Counter[str]()
        for line in subprocess.run([f"{tool}-save", "-c"], capture_output=True, text=True, check=False).stdout.splitlines():
            if line.startswith("*"):
                table, number = line[1:], Counter()
            elif policy := re.match(r":(\S+) DROP \[(\d+):", line):
                found[f"{tool} {table} {policy[1]} policy"] = int(policy[2])
            elif rule := re.match(r"\[(\d+):\d+\] -A (\S+) (.*)", line):
                number[rule[2]] += 1
                if re.search(r"-j (DROP|REJECT)", rule[3]):
                    found[f"{tool} {table} {rule[2]} {number[rule[2]]}"] = int(rule[1])
    return found
