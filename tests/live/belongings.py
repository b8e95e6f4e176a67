"""All that is configured in a lab, and all that its processes hold: what must be the same before and after a run."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from netprobe.lab.lab import Lab
from netprobe.linux.netns import inside

COMMANDS = {
    "links": "ip -d -j link show",
    "addresses": "ip -j address show",
    "routes": "ip -j route show table all",
    "routes of IPv6": "ip -6 -j route show table all",
    "rules": "ip -j rule show",
    "rules of IPv6": "ip -6 -j rule show",
    "bridge ports": "bridge -d -j link show",
    "vlans": "bridge -j vlan show",
    "qdiscs": "tc -j qdisc show",
    "nft": "nft -s list ruleset",
    "iptables": "iptables-save",
    "ip6tables": "ip6tables-save",
    "legacy tables": "cat /proc/net/ip_tables_names /proc/net/ip6_tables_names",
    "xfrm": "ip xfrm policy",
    "sysctls": "sysctl -a --pattern ^net\\.",
    "namespace ids": "ip -j netns list-id",
}
LIVELY = re.compile(
    r'"(?:gc_timer|hello_timer|tcn_timer|topology_change_timer|expires|cache|forward_delay_timer|hold_timer|message_age_timer'
    r'|preferred_life_time|valid_life_time|last_used|used)": ?(?:"[^"]*"|[-\d.]+),?'
    r"|net\.netfilter\.nf_conntrack_count = \d+\n|net\.ipv4\.tcp_fastopen_key = .*\n|net\.[\w.]*stable_secret = .*\n"
    r"|^# .*\n|\[\d+:\d+\]|counter packets \d+ bytes \d+",
    re.MULTILINE,
)
FILE = "configuration.json"


def configuration(lab: Lab, namespaces: list[str]) -> dict[str, str]:
    """What every tool prints about every namespace of a lab, without what moves by itself."""
    lab.call(_print_all, namespaces)
    found: dict[str, str] = json.loads(Path(lab.folder, FILE).read_text())
    return found


def _print_all(namespaces: list[str]) -> None:
    """In the lab: into a file, as it is too much for one message."""
    found = {
        f"{namespace}: {name}": LIVELY.sub("", printed(namespace, command))
        for namespace in namespaces
        for name, command in COMMANDS.items()
    }
    Path(FILE).write_text(json.dumps(found | {"namespaces": str(sorted((e.name, e.inode()) for e in os.scandir("/run/netns")))}))


def printed(namespace: str, command: str) -> str:
    inside = [] if namespace == "host" else ["ip", "netns", "exec", namespace]
    done = subprocess.run(["sh", "-c", f"exec {' '.join([*inside, command])}"], capture_output=True, text=True, errors="replace")
    return done.stdout if done.returncode == 0 else f"no answer of {command.split()[0]}"


def neighbours(namespaces: list[str]) -> list[str]:
    """In the lab: every neighbour and every learned station that has an address, whatever its age."""
    found = set()
    for namespace in namespaces:
        for command in ("ip -j neighbour show", "ip -6 -j neighbour show", "bridge -j fdb show"):
            for entry in json.loads(printed(namespace, command) or "[]"):
                known = {key: entry[key] for key in ("dev", "ifname", "dst", "lladdr", "mac", "master", "vlan") if key in entry}
                if "lladdr" in known or "mac" in known:
                    found.add(f"{namespace}: {json.dumps(known, sort_keys=True)}")
    return sorted(found)


def processes() -> list[str]:
    """In the lab: every process in it, by number and command line; the asking ones aside."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            found.append(f"{entry.name} {command}")
    return sorted(found)


def held() -> list[str]:
    """In the lab: what each descriptor of the lab's process is, sockets and pipes by their kind."""
    names = [entry.name for entry in os.scandir("/proc/self/fd")]  # the one of the scan itself is closed by now
    return sorted(re.sub(r"\d+", "N", os.readlink(f"/proc/self/fd/{fd}")) for fd in names if os.path.lexists(f"/proc/self/fd/{fd}"))  # noqa: PTH115


def packet_sockets(namespaces: list[str]) -> dict[str, int]:
    """In the lab: how many packet sockets each namespace has."""
    found = {}
    for namespace in namespaces:
        with inside("/proc/self/ns/net" if namespace == "host" else f"/run/netns/{namespace}"):
            found[namespace] = len(Path("/proc/thread-self/net/packet").read_text().splitlines()) - 1
    return found
