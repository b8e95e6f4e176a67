"""What a fix would change: a cause's commands, carried out on the snapshot instead of on the machine. Pure.

Known are commands whose effect is plain. One that is not known, or in which the reader must fill in a word,
makes the whole fix unknown, and so does advice: half a fix proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from netprobe.model import Cause, Command, Snapshot, Stop
from netprobe.model.lookup import among, not_among, where
from netprobe.predict.peers import mutual

from . import (
    apply_addresses,
    apply_connections,
    apply_devices,
    apply_ipset,
    apply_links,
    apply_nft,
    apply_policy,
    apply_queues,
    apply_routes,
    apply_xtables,
)
from .order import Order

Step = Callable[[Order], Snapshot]

_KNOWN: tuple[tuple[tuple[str, ...], Step], ...] = (
    (("ip", "link", "set"), apply_links.set_link),
    (("ip", "link", "add"), apply_devices.add_link),
    (("ip", "link", "del"), apply_devices.delete_link),
    (("bridge", "link", "set"), apply_links.set_port),
    (("sleep",), apply_links.wait),
    (("bridge", "fdb"), apply_links.change_fdb),
    (("bridge", "vlan"), apply_links.change_vlan),
    (("tc", "filter", "del"), apply_links.delete_filter),
    (("tc", "qdisc", "del"), apply_links.delete_qdisc),
    (("tc", "qdisc"), apply_queues.add_qdisc),
    (("ip", "address"), apply_addresses.change_address),
    (("ip", "addr"), apply_addresses.change_address),
    (("ip", "route", "flush", "cache"), apply_routes.flush_cache),
    (("ip", "route"), apply_routes.change_route),
    (("ip", "nexthop", "replace"), apply_routes.replace_nexthop),
    (("ip", "rule"), apply_policy.change_policy_rule),
    (("ip", "neigh", "flush"), apply_policy.flush_neighbour),
    (("ip", "neigh"), apply_policy.change_neighbour),
    (("sysctl", "-w"), apply_policy.set_sysctl),
    (("ip", "xfrm", "policy", "delete"), apply_connections.delete_ipsec_policy),
    (("ip", "xfrm", "policy", "add"), apply_connections.add_ipsec_policy),
    (("ip", "xfrm", "policy", "setdefault"), apply_connections.default_ipsec_policy),
    (("conntrack", "-F"), apply_connections.forget_connections),
    (("conntrack", "-I"), apply_connections.add_connection),
    (("conntrack", "-D"), apply_connections.delete_connection),
    (("ipset",), apply_ipset.ipset),
    (("nft",), apply_nft.nft),
    *(((tool,), apply_xtables.iptables) for tool in apply_xtables.TOOLS),
)


class Refused(ValueError):
    """A command that cannot be carried out on a snapshot."""

    def __init__(self, command: Command) -> None:
        super().__init__(" ".join(command.words))
        self.command = command


def mend(snapshot: Snapshot, cause: Cause | Stop) -> Snapshot | None:
    """The snapshot as it would be after the cause's fix; None where that cannot be told, or where nothing
    would change.
    """
    if cause.advice:
        return None
    snapshot = mutual(snapshot)
    commands = where(cause.commands, looks=False)
    try:
        mended = _after(snapshot, commands, cause.place.namespace or "")
    except Refused:
        return None
    changed = mended.changed_from(snapshot)
    beside = (mended.connections, mended.answers) != (snapshot.connections, snapshot.answers)
    if changed or beside:
        return _without_answers(mended, changed)
    return None


def _after(snapshot: Snapshot, commands: Iterable[Command], name: str) -> Snapshot:
    """The snapshot after these commands, each in its namespace, or in `name`. Raises Refused."""
    for command in commands:
        done = carry_out(snapshot, command.namespace or name, command)
        if done is None:
            raise Refused(command)
        snapshot = done
    return snapshot


def _without_answers(snapshot: Snapshot, names: set[str]) -> Snapshot:
    """The snapshot without what the kernel answered to route lookups in these namespaces: it held for them as
    they were.
    """
    return replace(snapshot, answers=not_among(snapshot.answers, namespace=names))


def tried(snapshot: Snapshot, commands: Sequence[Command]) -> Snapshot:
    """The snapshot as it would be after these commands, each in its namespace. Raises Refused.

    What was seen from outside of a namespace that they change is forgotten.
    """
    snapshot = mutual(snapshot)
    after = _after(snapshot, commands, "")
    changed = after.changed_from(snapshot)
    called = {(found.namespace, found.nsid) for found in among(after.peers, peer=changed)}
    behind = tuple(seen for seen in after.behind if (seen.namespace, seen.nsid) not in called)
    return replace(_without_answers(after, changed), behind=behind)


VERSIONS = ("ip", "-6"), ("ip", "-4")


def carry_out(snapshot: Snapshot, name: str, command: Command) -> Snapshot | None:
    """One command; None when it is not known, is not complete, or names what is not there."""
    six = command.words[:2] == ("ip", "-6")
    words = ("ip", *command.words[2:]) if command.words[:2] in VERSIONS else command.words
    for known, step in _KNOWN:
        if words[: len(known)] == known and not command.blanks and name in snapshot:
            return _done(step, Order(snapshot, name, words[0], words[len(known) :], six))
    return None


def _done(step: Step, order: Order) -> Snapshot | None:
    """The snapshot after a command; None where the kernel would refuse it, or a word of it is no number or no
    address: a form that is not known.
    """
    try:
        return step(order)
    except (KeyError, ValueError, IndexError):
        return None
