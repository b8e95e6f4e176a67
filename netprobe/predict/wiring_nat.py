"""Who translates addresses: the rules of a namespace that do, for which network, out of which interface.

A rule of a chain that others jump to is meant with what the jumps ask for. Two kinds are left out: what
translates a station's packets to itself (the hairpin rules of published ports), and what stays on the
loopback interface (a container's way to its engine's name server).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain as joined
from itertools import filterfalse, islice

from msgspec.structs import replace

from netprobe.model import Chain, InterfaceAddress, Namespace, Nexthop, Rule, Statement, Table, Term
from netprobe.model.lookup import but, first, where
from netprobe.model.wiring import WiredTranslation
from netprobe.rules import naming
from netprobe.rules.nat import names

from .prefix import contains

MOST = 512  # rules of a namespace: a cluster's node has thousands, which no picture can hold
DEEPEST = 16  # jumps within each other, as the kernel allows
_KINDS = ("masquerade", "snat", "dnat", "redirect", "netmap")
_IS_NOT = ("!=", "not in")
_OF_SOURCE = ("postrouting", "input")
_PORTS = {"tcp dport": "tcp", "udp dport": "udp", "sctp dport": "sctp", "th dport": ""}
Found = tuple[str, Table, Chain, Rule, tuple[Statement, ...]]  # at a hook a rule, and all that it asks for
Tests = Mapping[str, Statement]  # what a packet is asked for, by the key that is looked at


def translations(namespace: Namespace) -> tuple[WiredTranslation, ...]:
    """The rules that translate, in the order of their tables, each once."""
    found = joined.from_iterable(map(_of_table, namespace.tables))
    made = filterfalse(_is_for_itself, map(partial(_translation, namespace), found))
    return tuple(first(islice(made, MOST), lambda each: each.rule).values())


def _of_table(table: Table) -> Iterator[Found]:
    chains = () if table.dormant else where(table.chains, type="nat")
    for chain in but(chains, hook=None):
        yield from _rules((chain.at, table), chain, ())


def _rules(
    where: tuple[str, Table], chain: Chain, before: tuple[Statement, ...], depth: int = DEEPEST
) -> Iterator[Found]:
    """The rules that translate, of a chain and of those that it leads to."""
    for rule in chain.rules:
        said = (*before, *rule.statements)
        if any(map(_translates, rule.statements)):
            yield (*where, chain, rule, said)
        onward = where[1].chain(rule.leads_to)
        if onward is not None and depth:
            yield from _rules(where, onward, said, depth - 1)


def _translates(statement: Statement) -> bool:
    return statement.kind in _KINDS


def _translation(namespace: Namespace, found: Found) -> WiredTranslation:
    hook, table, chain, rule, said = found
    done = next(filter(_translates, reversed(said)))
    tests = dict(map(_keyed, said))
    thing = naming.rule_object(table, chain, rule)
    made = WiredTranslation(
        names(done.kind),
        hook in _OF_SOURCE,
        source=_asked(tests, "ip saddr", "ip6 saddr"),
        destination=_asked(tests, "ip daddr", "ip6 daddr"),
        into=_asked(tests, "meta iifname", "iifname"),
        out=_asked(tests, "meta oifname", "oifname"),
        service=_service(tests),
        to=_target(done),
        rule=thing.id,
        owner=thing.owner,
    )
    return _placed(namespace, made)


def _keyed(statement: Statement) -> tuple[str, Statement]:
    return getattr(statement.left, "text", ""), statement


def _asked(tests: Tests, *keys: str) -> str:
    """What a packet is asked for under one of these keys; "" for nothing, "!x" for all but x."""
    test = next(filter(None, map(tests.get, keys)), None)
    if test is None:
        return ""
    wanted = _value(test.right)
    return f"!{wanted}" if test.op in _IS_NOT else wanted


def _value(term: Term | None) -> str:
    """An expression as text: one value, several, or the name of a set or map."""
    if term is None:
        return ""
    if term.kind in ("ref", "map"):
        return f"@{(term, *term.args)[-1].text}"
    return term.text or ",".join(map(_value, term.args))


def _service(tests: Tests) -> str:
    """Protocol and ports: "tcp 8080"."""
    key = next(filter(tests.__contains__, _PORTS), "")
    protocol = _PORTS.get(key) or _asked(tests, "meta l4proto", "ip protocol")
    return f"{protocol} {_asked(tests, key)}".strip() if key else protocol


def _target(done: Statement) -> str:
    """What a rule puts in: "10.0.0.2:80", ":8080", "10.0.0.2"; a map is told by its name."""
    address, port = _value(done.right), _value(done.port)
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _placed(namespace: Namespace, found: WiredTranslation) -> WiredTranslation:
    """The rule with the interfaces here that it is about."""
    if found.of_source:
        inside = _has(namespace, found.source)
        leaves = filterfalse(inside.__contains__, _meant(namespace, found.out))
        return replace(found, inside=inside, leaves=tuple(leaves))
    comes_in = _meant(namespace, found.into)
    return replace(found, inside=comes_in, leaves=_has(namespace, _bare(found.to)))


def _bare(target: str) -> str:
    """The address of a target without its port: of "10.0.0.2:80", "[2001:db8::1]:80", "2001:db8::1"."""
    if target.startswith("["):
        return target[1:].partition("]")[0]
    return target if target.count(":") > 1 else target.partition(":")[0]


def _has(namespace: Namespace, networks: str) -> tuple[str, ...]:
    """The interfaces whose addresses share a network with one of these, which are said and not excluded."""
    wanted = list(filter(_is_prefix, networks.split(",")))
    found = filter(partial(_is_of, wanted), namespace.addresses)
    return tuple(filterfalse("lo".__eq__, _names(namespace, found)))


def _names(namespace: Namespace, those: Iterable[InterfaceAddress | Nexthop]) -> tuple[str, ...]:
    """The names of the interfaces that these are on, each once."""
    links = filter(None, map(namespace.link_of, those))
    return tuple(dict.fromkeys(link.name for link in links))


def _is_of(networks: list[str], address: InterfaceAddress) -> bool:
    """Whether the network of an address lies in one of these, or the other way round."""
    own = f"{address.address}/{address.prefixlen}"
    return any(contains(own, each.partition("/")[0]) or contains(each, address.address) for each in networks)


def _meant(namespace: Namespace, said: str) -> tuple[str, ...]:
    """The interfaces that are meant: those that are named, else those of the default routes but for what is
    excluded.
    """
    named = said.removeprefix("!").split(",")
    if said and not said.startswith("!"):
        return tuple(filter(namespace.link_named, named))
    legs = joined.from_iterable(route.nexthops for route in namespace.routes)
    return tuple(filterfalse(named.__contains__, _names(namespace, legs)))


def _is_prefix(text: str) -> bool:
    try:
        contains(text, text.partition("/")[0])
    except ValueError:
        return False
    return True


def _is_for_itself(found: WiredTranslation) -> bool:
    """Whether packets of a station come back to itself, or never leave the machine."""
    ends = list(filter(_is_prefix, (found.source, found.destination)))
    if any(map(_is_loopback, (*ends, found.to.strip("[]")))):
        return True
    return len(ends) == 2 and not found.out and contains(ends[0], ends[1].partition("/")[0])


def _is_loopback(address: str) -> bool:
    return address.startswith(("127.", "::1"))
