"""Which engines have rules in the namespace that netprobe is started in, and which of them it does not
follow.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from netprobe.linux import files, netns
from netprobe.linux.netfilter.kernel import Inventory, Nfnetlink, outline, with_rules
from netprobe.linux.netfilter.owner import managed
from netprobe.linux.netfilter.proc import NET, legacy_families
from netprobe.model.command import Command
from netprobe.model.examination import Finding, State

MODULES = "/proc/modules"
FOREIGN = {  # what decides about packets beside netfilter's rules: where it shows, and what lists it
    "IPVS": (f"{NET}/ip_vs", Command.look("ipvsadm", "-L", "-n")),
    # the port of its datapath with that name: lib/dpif-netlink.c of Open vSwitch
    "Open vSwitch": ("/sys/class/net/ovs-system", Command.look("ovs-vsctl", "show")),
}
IPVS_HEAD = 3  # lines of /proc/net/ip_vs before the first service: ip_vs_ctl.c, ip_vs_info_seq_show


def rules(way: Command | None) -> list[Finding]:
    """The engines with rules here; and one finding for each that is not followed.

    `way` is the command that has the privilege to list them.
    """
    try:
        found = _inventory()
    except OSError as error:
        why = "CAP_NET_ADMIN is missing" if error.errno == errno.EPERM else error.strerror
        effect = "which engines have rules here is not known"
        return [Finding("rules", State.LIMITED, f"cannot be listed: {why}", effect, way), *_foreign()]
    return [Finding("rules", State.OK, said(found, _legacy())), *_foreign()]


def said(found: Inventory, legacy: tuple[str, ...]) -> str:
    """Which engines have how many tables."""
    xtables = managed(found)
    counts = {
        "nft": len(set(found.tables) - xtables),
        "iptables-nft and its kin": len(xtables),
        "iptables-legacy": len(legacy),
    }
    told = [
        f"{name}: {number} {'table' if number == 1 else 'tables'}"
        for name, number in counts.items()
        if number
    ]
    return f"here {'; '.join(told) or 'are none'}"


def _inventory() -> Inventory:
    """What nf_tables has; of a kernel that has it not loaded nothing is asked, which would load it."""
    if not _is_loaded():
        return Inventory(())
    with netns.inside(netns.OWN), Nfnetlink() as netlink:
        return with_rules(netlink, outline(netlink))


def _is_loaded() -> bool:
    try:
        modules = files.kernel(MODULES)
    except FileNotFoundError:  # all that there is is built in
        return True
    return b"nf_tables " in modules or b"/nf_tables.ko" in _built_in()


def _built_in() -> bytes:
    """The modules that are part of the kernel: kmod's modules.builtin."""
    with suppress(OSError):
        return files.Tree("/").read(f"lib/modules/{os.uname().release}/modules.builtin")
    return b""


def _legacy() -> tuple[str, ...]:
    with suppress(OSError):
        return legacy_families()
    return ()


def _foreign() -> list[Finding]:
    effect = "what it does to a packet is not foretold; netprobe sees where it comes out"
    return [
        Finding(name, State.LIMITED, "is in use here", effect, look)
        for name, (path, look) in FOREIGN.items()
        if _is_used(path)
    ]


def _is_used(path: str) -> bool:
    if not path.startswith("/proc"):
        return files.exists(path)
    with suppress(OSError):
        return len(files.kernel(path).splitlines()) > IPVS_HEAD
    return False
