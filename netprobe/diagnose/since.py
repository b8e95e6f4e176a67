"""It worked before: what is otherwise now than in an earlier run of the same question. Pure.

What comes and goes by itself is left out: what was learned, and sockets that are neither the probe's goal nor
listen on a port that a person chose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from functools import partial
from itertools import chain, filterfalse

from msgspec.structs import replace

from netprobe.model import Changed, Difference, Earlier, Namespace, Since, Snapshot
from netprobe.model.lookup import all_but, among, column, those_not_in, where
from netprobe.predict.prediction import Prediction
from netprobe.predict.unread import PARTS

from .apply_policy import ALONG
from .change import BOTH, families, is_of_another_version, is_transient, rank
from .diff import differences
from .inventory import inventory, joined
from .made_anew import as_made_anew

_RULES = ("rule", "nat-rule")
_OF_RULESETS = (*_RULES, "policy", "set", "ruleset")
_REFUSALS = ("blackhole", "unreachable", "prohibit", "throw")
_EPHEMERAL = 32768  # net.ipv4.ip_local_port_range: ports from here on are the kernel's to give

Key = tuple[str | None, str, str]


def since(earlier: Earlier, now: Snapshot, prediction: Prediction | None) -> Since:
    """What the report says about the earlier run."""
    versions, port = BOTH, None
    if prediction is not None:
        versions, port = families(prediction), prediction.probe.destination.port
    found = without_followers(changed(earlier.snapshot, now, versions, port))
    return Since(earlier.capture, earlier.time, earlier.at, tuple(map(as_object, found)))


def changed(
    before: Snapshot, now: Snapshot, versions: Set[int] = BOTH, port: int | None = None
) -> tuple[Difference, ...]:
    """What is otherwise in the namespaces that both have read, what takes the rest with it first."""
    before = as_made_anew(before, now)
    both = [name for name in before.namespaces if are_read(before, now, name)]
    found = chain.from_iterable(_in_one(before, now, name, port) for name in both)
    meant = [*filterfalse(partial(is_of_another_version, versions=versions), found)]
    return tuple(sorted(meant, key=rank))


def _in_one(before: Snapshot, now: Snapshot, name: str, port: int | None) -> Iterator[Difference]:
    unknown = (*_unknown(before[name]), *_unknown(now[name]))
    for each in differences(before, now, name):
        if each.kind not in unknown and _counts(each, port):
            yield each


def are_read(before: Snapshot, now: Snapshot, name: str) -> bool:
    """Whether both know all of a namespace that is compared: what was not read is not gone."""
    unread = {*before.at(name).unread, *now.at(name).unread}
    return name in before and name in now and unread.isdisjoint(PARTS)


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


def without_followers(found: tuple[Difference, ...]) -> tuple[Difference, ...]:
    """All but the sysctls that another one of them has set along."""
    leaders = among(where(found, kind="sysctl"), name=ALONG)
    followers = (each for leader in leaders for each in found if _follows(each, leader))
    return all_but(found, followers)


def _follows(each: Difference, leader: Difference) -> bool:
    same = (each.namespace, each.after) == (leader.namespace, leader.after)
    return same and each is not leader and ALONG[leader.name].fullmatch(each.name) is not None


def key(each: Difference) -> Key:
    """What a difference is about; a rule is known by its text, since its number changes with those before
    it.
    """
    return each.namespace, each.kind, each.text if each.kind in _RULES else each.name


def nearness(found: dict[Key, Difference], now: Snapshot, mended: Snapshot) -> int:
    """How a repair stands to what is otherwise since the earlier run: 0 puts something back, 1 changes
    something of it, 2 has nothing to do with it.
    """
    places = {place for place, _, _ in found}
    made = [
        each
        for place in now.namespaces.keys() & mended.changed_from(now) & places
        for each in differences(now, mended, place)
    ]
    back = [found[key(each)].before == each.after for each in made if key(each) in found]
    if not back:
        return 2
    return 0 if any(back) else 1


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
    names = {*column(said.changed, "namespace")}
    found = {name: each for name, each in earlier.snapshot.namespaces.items() if name in names}
    return replace(earlier, snapshot=Snapshot(found, earlier.snapshot.peers))


# ---- as objects, with ids as elsewhere


def as_object(each: Difference) -> Changed:
    """A difference of two configurations, as the object that differs."""
    name = _NAMES.get(each.kind, _as_it_is)
    kind, id = name(each)
    text = f"{id} {each.after}" if kind in _SETTINGS and each.after else each.text
    return Changed(
        kind, id, text=text or id, namespace=each.namespace or "", before=each.before, after=each.after
    )


def _as_it_is(each: Difference) -> tuple[str, str]:
    return each.kind, each.name


def _link(each: Difference) -> tuple[str, str]:
    """The interface; or what stands on it, where it is that alone which differs."""
    parts = ", ".join(filter(None, (each.after, each.before))).split(", ")
    things = {part.partition(" ")[0] for part in parts}
    if len(things) == 1:
        match parts[0].split():
            case ["qdisc", *words]:  # "qdisc PARENT KIND …"
                return "qdisc", " ".join((each.name, *words[1:2]))
            case ["filter", *words]:
                return "tc-filter", f"{each.name} {''.join(words[:1])}"
            case ["xdp", *_]:
                return "xdp", f"{each.name} xdp"
    return "link", each.name


def _wire(each: Difference) -> tuple[str, str]:
    return "link", each.name


def _route(each: Difference) -> tuple[str, str]:
    """As ip-route(8) names it: the type of one that is not unicast, the prefix, the way, the table."""
    target, _, rest = each.name.partition(" ")
    words = each.text.partition("; ")[0].split()
    kind = those_not_in(words[:1], _OF_A_WAY)
    way = words[len(kind) :]
    legs = [f"{word} {value}" for word, value in zip(way[::2], way[1::2], strict=False) if word in _LEG]
    if not {*kind}.isdisjoint(_REFUSALS):
        legs = []  # IPv6 has them on lo, which no one says
    shown = "default" if target.endswith("/0") else target
    return "route", joined(*kind, shown, *legs, *re.findall(r"^table \S+", rest))


def _policy_rule(each: Difference) -> tuple[str, str]:
    return "policy-rule", each.name.partition(" ")[2]


def _neighbour(each: Difference) -> tuple[str, str]:
    mac = each.text.rpartition(" ")[0]
    return "neighbour", f"{each.name} {mac}".strip()


def _fdb_entry(each: Difference) -> tuple[str, str]:
    """As bridge(8) takes it; one of a tunnel is known by its remote end."""
    mac, _, rest = each.name.partition(" ")
    side = "master" if "master " in rest else "self"
    where = each.text.rpartition(" ")[0]
    return "fdb-entry", joined(mac, where, "" if " dst " in each.text else side)


def _policy(each: Difference) -> tuple[str, str]:
    src, dst, _, direction = each.name.split(" ", 3)
    return "xfrm", f"{direction} src {src} dst {dst}"


# the kind and id of an object, spelled as a cause spells them
_NAMES: dict[str, Callable[[Difference], tuple[str, str]]] = {
    "link": _link,
    "wire": _wire,
    "route": _route,
    "policy-rule": _policy_rule,
    "neighbour": _neighbour,
    "fdb-entry": _fdb_entry,
    "xfrm": _policy,
}
_SETTINGS = ("link", "sysctl")  # their text is no more than a value
_LEG = ("via", "dev")
_OF_A_WAY = (*_LEG, "src", "mtu")
