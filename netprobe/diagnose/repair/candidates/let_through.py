"""A port that rules let through to a station behind, and that nothing leads there any more: the translation
was lost, and the packet came to the router itself. Pure.

See: iptables(8), iptables-extensions(8), DNAT, --ctstate DNAT; nft(8), CONNTRACK EXPRESSIONS, status.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from operator import attrgetter

from msgspec.structs import replace

from netprobe.diagnose import dnat_rules, nat_rules
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Flow, Namespace, Place, Stage, Statement, Stop
from netprobe.model.lookup import among, has, where
from netprobe.rules.naming import tool

from . import published, sets

_CABLES = 4  # behind which somebody may listen


def candidates(loss: Loss) -> Iterator[Repair]:
    """The translation to the station that a rule lets the port through to."""
    for namespace, flow in published.asked(loss):
        if namespace.owner_of(flow.dst) is not None:
            for rule in nat_rules.of_kind(namespace.tables, "accept"):
                yield from _led(loss, namespace, flow, rule)


def _led(loss: Loss, namespace: Namespace, flow: Flow, rule: NatRule) -> Iterator[Repair]:
    thing, place = rule.decision.object, Place(namespace.name, None, Stage.PREROUTING)
    for (to, merit), port in product(_stations(loss, namespace, flow, rule), _ports(flow, rule)):
        led = f"lets through what is led to {to}, and no rule leads {flow.goal} there"
        proof = (thing.text, loss.stop.text)
        stop = Stop("dnat-missing", place, f"{thing.id} of {namespace.name} {led}", thing, (), proof)
        there = replace(flow, dst=to, dport=int(port))
        lost = _takes(loss, there) and not dnat_rules.leads_to(namespace, there, int(port))
        said = merit if int(port) == flow.dport else Merit.ADDS  # by another port, another may be meant
        goal = dnat_rules.at(to, port)
        for fix in dnat_rules.led_to(namespace, tool(rule.table), flow, goal) if lost else ():
            yield from loss.repair(replace(stop, commands=fix), said, agreeing=1)


def _takes(loss: Loss, flow: Flow) -> bool:
    """Whether somebody in sight has the destination of a flow, and listens there: of others a rule that lets
    them be reached tells nothing.
    """
    there = [loss.snapshot[name].waiting(flow.protocol.value) for name in loss.bearers(flow.dst)]
    return bool(there) and all(has(sockets, port=flow.dport) for sockets in there)


def _ports(flow: Flow, rule: NatRule) -> Iterable[str]:
    """The port to which a rule lets the packet through."""
    named = nat_rules.said(rule.statements, f"{flow.protocol} dport", "th dport")
    if not named or dnat_rules.speaks_of(rule.statements, flow.dport):
        return (str(flow.dport),)
    return [*filter(str.isdigit, named[:1])]


def _stations(loss: Loss, namespace: Namespace, flow: Flow, rule: NatRule) -> Iterator[tuple[str, Merit]]:
    """The station that a rule is for; where it is for all that is translated, those beside that listen."""
    named = nat_rules.networks(rule.statements, f"{nat_rules.family(flow.dst)} daddr")
    yield from product(filter(_is_behind, map(_alone, named)), (Merit.RESTORES,))
    if not named and loss.stop.code in sets.REFUSED and _is_of_translated(rule.statements):
        yield from product(_beside(loss, namespace, flow), (Merit.ADDS,))


def _alone(network: str) -> str:
    return network.removesuffix("/32").removesuffix("/128")


def _is_behind(to: str) -> bool:
    """Whether nobody asks for an address but who is led there."""
    return "/" not in to and nat_rules.is_private(to)


def _is_of_translated(statements: tuple[Statement, ...]) -> bool:
    """Whether a rule is for what has another destination than it came for."""
    asked = among(statements, key=("ct status", "xt ctstate"))
    return any(has(each.nodes, text="dnat") for each in asked)


def _beside(loss: Loss, namespace: Namespace, flow: Flow) -> Iterator[str]:
    """The stations beside."""
    own = where(namespace.addresses, scope="global", version=flow.version)
    for link in among(namespace.outward, index={*map(attrgetter("index"), own)})[:_CABLES]:
        for _, _, beside in loss.beside(namespace.name, link, flow.version):
            yield beside.address
