"""A port that lacks in a row of published ones, each of which leads to another station: there is one to which
none leads, and which listens as the others do; or that lacks among those which all lead to one station. Pure.

See: iptables-extensions(8), DNAT; nft(8), NAT STATEMENTS.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Flow, Namespace, Place, RouteQuery, Stage, Stop
from netprobe.model.lookup import column, grouped, has, sole, where
from netprobe.predict import fib
from netprobe.rules.naming import PORT_KEYS

from . import published

_ALIKE = 2  # rules that make a row


class _Led(NamedTuple):
    """A rule that leads one port to one port of a station, and the words that say so."""

    rule: NatRule
    port: int
    address: str
    to: int

    @property
    def target(self) -> str:
        """Where it leads, as rules write it."""
        return _at(self.address, self.to)


def candidates(loss: Loss) -> Iterator[Repair]:
    """The rule for the port that was asked for, in each chain that has such rows."""
    for namespace, flow in published.asked(loss) if loss.stop.code == "port-closed" else ():
        if namespace.owner_of(flow.dst) is not None:
            for row in _rows(namespace, flow):
                yield from _one_more(loss, namespace, flow, row)
            yield from _to_the_same(loss, namespace, flow)


def _rows(namespace: Namespace, flow: Flow) -> Iterator[tuple[_Led, ...]]:
    """The rules of a chain that lead ports around this one to the same port of a station each."""
    found = nat_rules.rules_of_nat(namespace, "prerouting", flow.dst, "dnat")
    led = (each for rule in found for each in _led(rule))
    for row in grouped(led, lambda each: (each.rule.chain.name, each.to)).values():
        ports, stations = {*column(row, "port")}, {*column(row, "address")}
        in_it = min(ports) - 1 <= (flow.dport or 0) <= max(ports) + 1
        if in_it and flow.dport not in ports and len(row) == len(stations) >= _ALIKE:
            yield row


def _led(rule: NatRule) -> Iterator[_Led]:
    ports = nat_rules.said(rule.statements, *PORT_KEYS)
    for each in where(rule.statements, kind="dnat"):
        to = each.port.text if each.port is not None else ""
        if len(ports) == 1 and ports[0].isdigit() and to.isdigit() and nat_rules.is_prefix(each.value):
            yield _Led(rule, int(ports[0]), each.value, int(to))


def _to_the_same(loss: Loss, namespace: Namespace, flow: Flow) -> Iterator[Repair]:
    """The rule of a chain that leads several ports to the same ports of one station and does nothing else,
    for one more on which that station listens.
    """
    found = nat_rules.rules_of_nat(namespace, "prerouting", flow.dst)
    for rules in grouped(found, lambda each: (each.table.key, each.chain.name)).values():
        led = [(each, _kept(each)) for each in rules]
        stations = {to for _, (to, _) in led}
        ports = {port for _, (_, port) in led}
        station, last = next(iter(stations)), rules[-1]
        alike = len(stations) == 1 and len(ports) == len(rules) >= _ALIKE
        if alike and str(flow.dport) not in ports and _listens(loss, station, flow):
            new = {led[-1][1][1]: str(flow.dport)}
            text = f"{namespace.name} leads {len(rules)} ports to {station}, and not {flow.dport}"
            yield from _with(loss, namespace, last, new, text, Merit.RESTORES)


def _kept(rule: NatRule) -> tuple[str, str]:
    """The station to which a rule leads one port of it, and that port; nothing of any other rule."""
    ports = nat_rules.said(rule.statements, *PORT_KEYS)
    for each in where(rule.statements, kind="dnat"):
        if len(ports) == 1 and ports[0].isdigit() and each.port is None and nat_rules.is_prefix(each.value):
            return each.value, ports[0]
    return "", ""


def _listens(loss: Loss, station: str, flow: Flow) -> bool:
    there = (loss.snapshot[name].waiting(flow.protocol.value) for name in loss.bearers(station or None))
    return any(has(sockets, port=flow.dport) for sockets in there)


def _with(
    loss: Loss, namespace: Namespace, rule: NatRule, new: dict[str, str], text: str, merit: Merit
) -> Iterator[Repair]:
    """The rule once more, with some words in the place of others."""
    thing, place = rule.decision.object, Place(namespace.name, None, Stage.PREROUTING)
    fix = rule_words.appended(thing, rule.rule, new)
    missing = rule_words.missing(fix)
    stop = Stop("dnat-missing", place, text, missing, fix, (thing.text, loss.stop.text))
    yield from loss.repair(stop, merit, agreeing=_ALIKE)


def _one_more(loss: Loss, namespace: Namespace, flow: Flow, row: tuple[_Led, ...]) -> Iterator[Repair]:
    last, lacking = row[-1], _without_a_rule(loss, namespace, flow, row)
    for address in sole(lacking):
        new = {last.target: _at(address, last.to), str(last.port): str(flow.dport)}
        text = (
            f"{namespace.name} publishes port {last.to} of {len(row)} stations beside {address}, each by a"
            f" port of its own, and does not lead {flow.dport} to it"
        )
        yield from _with(loss, namespace, last.rule, new, text, Merit.RESTORES)


def _without_a_rule(loss: Loss, namespace: Namespace, flow: Flow, row: tuple[_Led, ...]) -> list[str]:
    """The stations beside those of a row that listen as they do, and to which it leads nothing."""
    way = fib.lookup(namespace, RouteQuery(None, row[-1].address))
    link, port = namespace.link_of(way.leg), row[-1].to
    beside = loss.beside(namespace.name, link, flow.version) if link is not None else ()
    return [
        own.address
        for name, _, own in beside
        if has(loss.snapshot[name].waiting(flow.protocol.value), port=port)
        and not where(row, address=own.address)
    ]


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
