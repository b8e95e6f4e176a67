"""A port that lacks in a row of published ones, each of which leads to another station: there is one to which
none leads, and which listens as the others do; or that lacks among those which all lead to one station. Pure.

See: iptables-extensions(8), DNAT; nft(8), NAT STATEMENTS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from netprobe.diagnose import dnat_rules, nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Flow, Namespace, Place, RouteQuery, Stage, Stop
from netprobe.model.lookup import column, grouped, has, sole, those_not_in, where
from netprobe.predict import fib
from netprobe.rules.naming import PORT_KEYS

from . import published

_ALIKE = 2  # rules that make a row


class _Led(NamedTuple):
    """A rule that leads one port to one port of a station."""

    rule: NatRule
    port: int
    address: str
    to: int

    @property
    def chain(self) -> tuple[str, str]:
        """The chain of the rule."""
        return self.rule.table.name, self.rule.chain.name

    @property
    def keeps(self) -> bool:
        """Whether it leads the port to the same one."""
        return self.port == self.to


def candidates(loss: Loss) -> Iterator[Repair]:
    """The rule for the port that was asked for, in each chain that has such rows."""
    for namespace, flow in published.asked(loss) if loss.stop.code == "port-closed" else ():
        led = [*_led(namespace, flow)]
        each = grouped(led, attrgetter("chain", "to")).values()
        same = grouped(filter(attrgetter("keeps"), led), attrgetter("chain", "address")).values()
        for row in filter(partial(_goes_on, flow.dport or 0), each):
            yield from _one_more(loss, namespace, flow, row, _without_a_rule(loss, namespace, flow, row))
        for row in filter(partial(_leads_on, flow.dport or 0), same):
            yield from _one_more(loss, namespace, flow, row, (row[-1].address,))


def _led(namespace: Namespace, flow: Flow) -> Iterator[_Led]:
    """The rules that publish something of a namespace's own address."""
    owner = namespace.owner_of(flow.dst)
    found = nat_rules.rules_of_nat(namespace, "prerouting", flow.dst, "dnat") if owner is not None else ()
    for rule in found:
        ends = where(rule.statements, kind="dnat")
        match nat_rules.said(rule.statements, *PORT_KEYS), [*column(ends, "value")], [*column(ends, "port")]:
            case [port], [address], [to] if nat_rules.is_prefix(address):
                numbers = (port, port if to is None else to.text)
                if all(map(str.isdecimal, numbers)):  # a range has none, and a map
                    yield _Led(rule, int(port), address, int(numbers[1]))


def _goes_on(port: int, row: Sequence[_Led]) -> bool:
    """Whether rules lead ports around this one to a station each."""
    ports, stations = {*column(row, "port")}, {*column(row, "address")}
    around = {*range(min(ports) - 1, max(ports) + 2)} - ports
    return port in around and len(row) == len(stations) >= _ALIKE


def _leads_on(port: int, row: Sequence[_Led]) -> bool:
    """Whether rules lead several other ports to the same station."""
    ports = {*column(row, "port")}
    return len(ports - {port}) == len(row) >= _ALIKE


def _without_a_rule(loss: Loss, namespace: Namespace, flow: Flow, row: Sequence[_Led]) -> tuple[str, ...]:
    """The stations beside those of a row to which it leads nothing."""
    link = namespace.link_of(fib.lookup(namespace, RouteQuery(None, row[-1].address)).leg)
    beside = loss.beside(namespace.name, link, flow.version) if link is not None else ()
    return those_not_in((own.address for _, _, own in beside), {*column(row, "address")})


def _one_more(
    loss: Loss, namespace: Namespace, flow: Flow, row: Sequence[_Led], stations: Sequence[str]
) -> Iterator[Repair]:
    """The last rule once more, for the one of some stations that listens as is asked for."""
    last = row[-1]
    to = str(flow.dport) if last.keeps else str(last.to)
    listening = filter(partial(_listens, loss, flow.protocol.value, int(to)), stations)
    for address in sole([*listening]):
        goal = dnat_rules.at(address, to)
        new = {str(last.port): str(flow.dport), dnat_rules.at(last.address, str(last.to)): goal}
        fix = rule_words.appended(last.rule.decision.object, last.rule.rule, new)
        others = ", ".join(map(str, column(row, "port")))
        text = f"{namespace.name} publishes {others}, and not {flow.dport}, which would be {goal}"
        place = Place(namespace.name, None, Stage.PREROUTING)
        missing = rule_words.missing(last.rule.decision.object, fix)
        proof = (last.rule.rule.text, loss.stop.text)
        stop = Stop("dnat-missing", place, text, missing, fix, proof)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=len(row))


def _listens(loss: Loss, protocol: str, port: int, address: str) -> bool:
    """Whether somebody in sight has an address, and listens there."""
    there = map(loss.snapshot.at, loss.bearers(address))
    return any(has(each.waiting(protocol), port=port) for each in there)
