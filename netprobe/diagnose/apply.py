"""What a fix would change: a cause's commands, carried out on the snapshot instead of on the machine. Pure.

Known are commands whose effect is plain. One that is not known, or in which the reader must fill in a word,
makes the whole fix unknown, and so does advice: half a fix proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from netprobe.model import Cause, Command, Snapshot, Stop
from netprobe.predict.peers import mutual

from . import (
    apply_addresses,
    apply_connections,
    apply_ipset,
    apply_links,
    apply_nft,
    apply_policy,
    apply_routes,
    apply_xtables,
)
from .order import Order

Step = Callable[[Order], Snapshot]

_KNOWN: tuple[tuple[tuple[str, ...], Step], ...] = (
    (("ip", "link", "set"), apply_links.set_link),
    (("bridge", "link", "set"), apply_links.set_port),
    (("bridge", "fdb"), apply_links.change_fdb),
    (("tc", "filter", "del"), apply_links.delete_filter),
    (("tc", "qdisc", "del"), apply_links.delete_qdisc),
    (("ip", "address"), apply_addresses.change_address),
    (("ip", "addr"), apply_addresses.change_address),
    (("ip", "route", "flush", "cache"), apply_routes.flush_cache),
    (("ip", "route"), apply_routes.change_route),
    (("ip", "rule"), apply_policy.change_policy_rule),
    (("ip", "neigh"), apply_policy.change_neighbour),
    (("sysctl", "-w"), apply_policy.set_sysctl),
    (("ip", "xfrm", "policy", "delete"), apply_connections.delete_ipsec_policy),
    (("conntrack", "-D"), apply_connections.delete_connection),
    (("ipset",), apply_ipset.ipset),
    (("nft",), apply_nft.nft),
    *(((tool,), apply_xtables.iptables) for tool in apply_xtables.TOOLS),
)


def mend(snapshot: Snapshot, cause: Cause | Stop) -> Snapshot | None:
    """The snapshot as it would be after the cause's fix; None where that cannot be told, or where nothing
    would change.
    """
    mended = snapshot = mutual(snapshot)
    for command in (each for each in cause.commands if not each.looks):
        after = carry_out(mended, command.namespace or cause.place.namespace or "", command)
        if after is None or cause.advice:
            return None
        mended = after
    changed = {
        name for name, namespace in mended.namespaces.items() if namespace != snapshot.namespaces.get(name)
    }
    # What the kernel answered to route lookups held for the namespace as it was.
    kept = tuple(asked for asked in mended.answers if asked.namespace not in changed)
    beside = (mended.connections, mended.answers) != (snapshot.connections, snapshot.answers)
    changes = changed or beside
    return replace(mended, answers=kept) if changes else None


def carry_out(snapshot: Snapshot, name: str, command: Command) -> Snapshot | None:
    """One command; None when it is not known, is not complete, or names what is not there."""
    six = command.words[:2] == ("ip", "-6")
    words = ("ip", *command.words[2:]) if six else command.words
    step, used = next(
        ((step, len(known)) for known, step in _KNOWN if words[: len(known)] == known), (None, 0)
    )
    if step is None or command.blanks or name not in snapshot:
        return None
    try:
        return step(Order(snapshot, name, words[0], words[used:], six))
    except (KeyError, ValueError, IndexError):
        # a word that is no number or address: a form that is not known
        return None
