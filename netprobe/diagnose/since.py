"""It worked before: what is otherwise now than in an earlier run of the same question. Pure.

What comes and goes by itself is left out: what was learned, and sockets that are neither the probe's goal nor
listen on a port that a person chose.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from itertools import chain

from msgspec.structs import replace

from netprobe.model import Changed, Difference, Earlier, Namespace, Since, Snapshot
from netprobe.model.lookup import where
from netprobe.predict.prediction import Prediction
from netprobe.predict.unread import PARTS

from .change import BOTH, families, is_of_another_version, is_transient, rank
from .diff import differences
from .inventory import inventory, joined

_RULES = ("rule", "nat-rule")
_OF_RULESETS = (*_RULES, "policy", "set", "ruleset")
_REFUSALS = ("blackhole", "unreachable", "prohibit", "throw")
_EPHEMERAL = 32768  # net.ipv4.ip_local_port_range: ports from here on are the kernel's to give
_LED = {  # sysctls that set others along: the beginning and the end of their names (ip-sysctl)
    "net.ipv4.ip_forward": ("net.ipv4.conf.", ".forwarding"),
    "net.ipv6.conf.all.forwarding": ("net.ipv6.conf.", ".forwarding"),
    "net.ipv6.conf.all.disable_ipv6": ("net.ipv6.conf.", ".disable_ipv6"),
}

Key = tuple[str | None, str, str]


def since(earlier: Earlier, now: Snapshot, prediction: Prediction | None) -> Since:
    """What the report says about the earlier run."""
    versions = families(prediction) if prediction is not None else BOTH
    port = prediction.probe.destination.port if prediction is not None else None
    found = without_followers(changed(earlier.snapshot, now, versions, port))
    return Since(earlier.capture, earlier.time, earlier.at, tuple(map(as_object, found)))


def changed(
    before: Snapshot, now: Snapshot, versions: Set[int] = BOTH, port: int | None = None
) -> tuple[Difference, ...]:
    """What is otherwise in the namespaces that both have read, what takes the rest with it first."""
    both = [name for name in before.namespaces if name in now.namespaces and are_read(before, now, name)]
    found = chain.from_iterable(_in_one(before, now, name, port) for name in both)
    return tuple(sorted((each for each in found if not is_of_another_version(each, versions)), key=rank))


def _in_one(before: Snapshot, now: Snapshot, name: str, port: int | None) -> Iterator[Difference]:
    unknown = (*_unknown(before[name]), *_unknown(now[name]))
    for each in differences(before, now, name):
        if each.kind not in unknown and _counts(each, port):
            yield each


def are_read(before: Snapshot, now: Snapshot, name: str) -> bool:
    """Whether both know all of a namespace that is compared: what was not read is not gone."""
    return not any(part in PARTS for each in (before, now) for part in each[name].unread)


def _unknown(namespace: Namespace) -> Iterator[str]:
    """The kinds of things of a namespace that were not looked at, or not at all of them."""
    rules = namespace.ruleset
    kinds = {
        ("socket",): namespace.sockets is None,
        ("xfrm",): namespace.xfrm is None,
        _OF_RULESETS: rules is None or bool(rules.blind),
    }
    return chain.from_iterable(each for each, is_unknown in kinds.items() if is_unknown)


def _counts(each: Difference, port: int | None) -> bool:
    """Whether somebody did it, as far as one can tell."""
    if each.kind == "socket":
        number = int(each.name.rpartition(":")[2])
        return number == port or number < _EPHEMERAL
    return not is_transient(each)


def without_followers(found: tuple[Difference, ...]) -> Iterator[Difference]:
    """All but the sysctls that another one of them has set along."""
    leaders = [each for each in where(found, kind="sysctl") if each.name in _LED]
    return (each for each in found if not any(_follows(each, leader) for leader in leaders))


def _follows(each: Difference, leader: Difference) -> bool:
    start, end = _LED[leader.name]
    alike = each.name.startswith(start) and each.name.endswith(end) and each.name != leader.name
    return alike and (each.namespace, each.after) == (leader.namespace, leader.after)


def key(each: Difference) -> Key:
    """What a difference is about; a rule is known by its text, since its number changes with those before
    it.
    """
    text = (each.after or each.before or "") if each.kind in _RULES else each.name
    return each.namespace, each.kind, text


def nearness(found: dict[Key, Difference], now: Snapshot, mended: Snapshot) -> int:
    """How a repair stands to what is otherwise since the earlier run: 0 puts something back, 1 changes
    something of it, 2 has nothing to do with it.
    """
    places = {place for place, _, _ in found} & now.namespaces.keys() & mended.namespaces.keys()
    both = [place for place in places if place is not None and now[place] != mended[place]]
    changes = chain.from_iterable(differences(now, mended, place) for place in both)
    back = {found[key(each)].before == each.after for each in changes if key(each) in found}
    return 2 - bool(back) - (True in back)


_QDISC, _FILTER, _XDP = "qdisc", "filter", "xdp"


def holds_together(snapshot: Snapshot) -> bool:
    """Whether what a file said about a network can be compared at all: its addresses are addresses."""
    try:
        return all(inventory(snapshot, name) is not None for name in snapshot.namespaces)
    except (ValueError, KeyError, IndexError, TypeError):
        return False


def kept(earlier: Earlier, said: Since) -> Earlier:
    """The earlier run as it is saved with the one that it explains: the namespaces in which something is
    otherwise.
    """
    names = {each.namespace for each in said.changed}
    found = {name: each for name, each in earlier.snapshot.namespaces.items() if name in names}
    return replace(earlier, snapshot=Snapshot(found, earlier.snapshot.peers))


# ---- as objects, with ids as elsewhere


def as_object(each: Difference) -> Changed:
    """A difference of two configurations, as the object that differs."""
    kind, id = _named(each)
    text = f"{id} {each.after}" if kind in ("link", "sysctl") and each.after else each.after or each.before
    return Changed(
        kind, id, text=text or id, namespace=each.namespace or "", before=each.before, after=each.after
    )


def _named(each: Difference) -> tuple[str, str]:
    """The kind and id of the object, spelled as a cause spells them."""
    said = each.after or each.before or ""
    match each.kind:
        case "link" if (found := _on_link(each)) is not None:
            return found
        case "wire":
            return "link", each.name
        case "route":
            return "route", _route(each.name, said.partition("; ")[0])
        case "policy-rule":
            return "policy-rule", each.name.partition(" ")[2]
        case "neighbour":
            mac = said.rpartition(" ")[0]
            return "neighbour", f"{each.name} {mac}".strip()
        case "fdb-entry":
            side = "" if " dst " in said else f" {'master' if ' master ' in each.name else 'self'}"
            return "fdb-entry", f"{each.name.partition(' ')[0]} {said.rpartition(' ')[0]}{side}"
        case "xfrm":
            src, dst, _, direction = each.name.split(" ", 3)
            return "xfrm", f"{direction} src {src} dst {dst}"
    return each.kind, each.name


def _on_link(each: Difference) -> tuple[str, str] | None:
    """What stands on an interface, where it is that alone which differs."""
    parts = [part.split() for side in (each.after, each.before) if side for part in side.split(", ")]
    if len({tuple(part[:1]) for part in parts}) != 1:
        return None
    match parts[0]:
        case ["qdisc", *words]:  # "qdisc PARENT KIND …"
            return "qdisc", " ".join((each.name, *words[1:2]))
        case ["filter", *words]:
            return "tc-filter", f"{each.name} {''.join(words[:1])}"
        case ["xdp", *_]:
            return "xdp", f"{each.name} xdp"
    return None


def _route(name: str, text: str) -> str:
    """As ip-route(8) names it: the type of one that is not unicast, the prefix, the way, the table."""
    target, _, rest = name.partition(" ")
    words, table = text.split(), rest.partition(" metric ")[0] if rest.startswith("table") else ""
    kind = words[:1] if words[:1] and words[0] not in ("via", "dev", "src", "mtu") else []
    words = (
        words[len(kind) :] if {*kind}.isdisjoint(_REFUSALS) else []
    )  # IPv6 has them on lo, which no one says
    said = zip(words[::2], words[1::2], strict=False)
    way = [f"{word} {value}" for word, value in said if word in ("via", "dev")]
    shown = "default" if target.endswith("/0") else target
    return joined(*kind, shown, *way, table)
