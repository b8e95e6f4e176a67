"""Rules that would accept the packet, but for one word in the place of another: the other side, the other
protocol, a word that says no, a state that lacks. Pure.

That alone does not say that it is wrong. It is where the rule as it is written is for nothing that comes
there, or where what it says makes those behind it idle.

See: iptables(8), iptables-extensions(8); nft(8), EXPRESSIONS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain as joined
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Flow, Leg, Place, RouteQuery, Stage, Statement, Stop
from netprobe.model.link import name_of
from netprobe.model.lookup import among, column, has, those_in, where
from netprobe.predict import fib, prefix
from netprobe.predict.trace import Routed
from netprobe.rules.naming import PORT_KEYS, SOURCE_PORT_KEYS

from .sets import REFUSED, came
from .shadowed import is_for_less

_MOST = 24  # rules of a namespace
_IN, _OUT = ("iifname", "meta iifname"), ("oifname", "meta oifname")
_FROM, _TO = ("ip saddr", "ip6 saddr"), ("ip daddr", "ip6 daddr")
_STATE = ("ct state", "xt ctstate")
_OTHER = {"tcp": "udp", "udp": "tcp"}
_SYSTEM = 1024  # ports below are assigned to services


class _Asked(Struct, frozen=True):
    """A rule, and the packet that it does not accept."""

    loss: Loss
    rule: NatRule
    routed: Routed
    flow: Flow

    @property
    def hook(self) -> str:
        """The hook at which the packet was refused."""
        return self.loss.stop.place.stage.value

    def said(self, *keys: str) -> list[str]:
        """What the rule compares some keys with."""
        return nat_rules.said(self.rule.statements, *keys)

    def values(self, *keys: str) -> list[str]:
        """All values among which it looks for some keys."""
        tests = among(self.rule.statements, key=keys)
        return [*column(where(joined.from_iterable(each.nodes for each in tests), kind="value"), "text")]

    def ports(self, *keys: str) -> bool:
        """Whether the packet's port is among them."""
        port = self.flow.dport
        return port is not None and any(port in each for each in _ranges(self.values(*keys)))


class _Word(Struct, frozen=True):
    """Words in the place of others, and whether they are likely to be what was meant."""

    new: dict[str, str]
    likely: bool


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such rule of the firewall that refused the packet, with the word that was meant."""
    refused = loss.stop.code in REFUSED
    last = where(loss.prediction.routed, namespace=loss.here.name, leg=loss.prediction.leg)[-1:]
    hops = where(came(loss), namespace=loss.here.name)[-1:]
    for routed, hop in zip(last if refused else (), hops, strict=False):
        rules = nat_rules.of_kind(loss.here.tables, "accept")
        asked = (_Asked(loss, rule, routed, hop.flow) for rule in rules)
        found = ((each.rule, word) for each in asked for kind in _KINDS for word in kind(each))
        for rule, word in islice(found, _MOST):
            yield from _reworded(loss, loss.stop, rule, word)
    for routed in where(loss.prediction.routed, leg=Leg.REQUEST):
        stop = Stop("nat-wrong-match", Place(routed.namespace, None, Stage.POSTROUTING), "")
        namespace, flow = loss.snapshot[routed.namespace], Flow(routed.src, routed.dst, loss.probe.protocol)
        for rule in nat_rules.rules_of_nat(
            namespace, "postrouting", routed.dst, "snat", "masquerade", "netmap"
        ):
            for word in _not_it(_Asked(loss, rule, routed, flow)):
                yield from _reworded(loss, stop, rule, word) if word.likely else ()


def _reworded(loss: Loss, base: Stop, rule: NatRule, word: _Word) -> Iterator[Repair]:
    thing = rule.decision.object
    old = " ".join(those_in(word.new, rule.rule.text.split()))
    does = "accept" if base is loss.stop else "translate"
    text = f"{thing.id} of {base.place.namespace} would {does} the packet but for «{old}»: {loss.stop.text}"
    fix = rule_words.reworded_all(thing, rule.rule, word.new)
    proof = (thing.text, loss.stop.text)
    stop = replace(base, text=text, object=thing, commands=fix, proof=proof, advice="")
    yield from loss.repair(stop, Merit.restoring(word.likely), agreeing=int(word.likely))


def _other_interface(asked: _Asked) -> Iterator[_Word]:
    """The way in for the way out, or the other way round, where the rule names one of them."""
    by, out = name_of(asked.routed.iif, ""), name_of(asked.loss.out(asked.routed), "")
    ins, outs = asked.said(*_IN), asked.said(*_OUT)
    if by in outs and not ins and by:
        yield _Word({"-o": "-i", "oifname": "iifname"}, asked.hook == "input" or _makes_idle(asked, _OUT, by))
    if out in ins and not outs and by not in ins:
        yield _Word(
            {"-i": "-o", "iifname": "oifname"}, asked.hook == "output" or _makes_idle(asked, _IN, out)
        )


def _makes_idle(asked: _Asked, keys: tuple[str, ...], name: str) -> bool:
    """Whether a rule behind accepts a part of what this one does as it is written."""
    behind = where(asked.rule.chain.rules[asked.rule.rule.number :], leads_to="")
    accepting = (each for each in behind if has(each.statements, kind="accept"))
    alike = (each for each in accepting if name in nat_rules.said(each.statements, *keys))
    return any(is_for_less(each, asked.rule.rule) for each in alike)


def _other_end(asked: _Asked) -> Iterator[_Word]:
    """The sender for the goal, or the other way round, where the rule names one of them."""
    senders, goals = (nat_rules.networks(asked.rule.statements, *keys) for keys in (_FROM, _TO))
    one = len(asked.values(*_FROM)) + len(asked.values(*_TO)) == 1
    if one and prefix.within(senders, asked.routed.dst):
        yield _Word({"-s": "-d", "saddr": "daddr"}, _never_comes(asked, senders[0], _IN))
    if one and prefix.within(goals, asked.routed.src):
        yield _Word({"-d": "-s", "daddr": "saddr"}, _never_comes(asked, goals[0], _OUT))


def _never_comes(asked: _Asked, network: str, keys: tuple[str, ...]) -> bool:
    """Whether the rule names an interface behind which the network that it names is not; or an end that is
    this namespace itself, and the network of others.
    """
    here, first = asked.loss.here, network.partition("/")[0]
    own = any(prefix.contains(network, each) for each in column(here.addresses, "address"))
    if asked.hook == ("output" if keys == _IN else "input") and not own:
        return True
    led = here.link_of(fib.lookup(here, RouteQuery(None, first)).leg)
    named = asked.said(*keys)
    return bool(named) and name_of(led, "") not in named


def _other_port(asked: _Asked) -> Iterator[_Word]:
    """The port of the service for that of who asks."""
    if asked.ports(*SOURCE_PORT_KEYS) and not asked.values(*PORT_KEYS):
        new = {"sport": "dport", "--sport": "--dport", "--sports": "--dports"}
        yield _Word(new, _accepts(asked, "established"))


def _other_protocol(asked: _Asked) -> Iterator[_Word]:
    """The packet's protocol for the other one that has ports; on a system port (RFC 6335, 6) a service of
    either may be meant.
    """
    own = asked.flow.protocol.value
    other = _OTHER.get(own, "")
    if other and asked.ports(f"{other} dport"):
        ports = asked.values(f"{other} dport")
        heard = [_is_heard(asked.loss, each, ports) for each in (own, other)]
        assigned = any(each.start < _SYSTEM for each in _ranges(ports))
        yield _Word({other: own}, heard == [True, False] and not assigned)


def _is_heard(loss: Loss, protocol: str, ports: list[str]) -> bool:
    """Whether any program in sight listens on one of some ports."""
    waiting = joined.from_iterable(each.waiting(protocol) for each in loss.snapshot.namespaces.values())
    heard = {*column(waiting, "port")}
    return any(not heard.isdisjoint(each) for each in _ranges(ports))


def _ranges(ports: list[str]) -> Iterator[range]:
    """Ports, and ranges of them, as rules write both."""
    for low, _, high in (each.partition("-") for each in ports):
        if low.isdecimal():
            yield range(int(low), int(high or low) + 1)


def _not_it(asked: _Asked) -> Iterator[_Word]:
    """What the rule says no to, where it does so once: likely where that is one station, and a port is asked
    for; or an interface behind which the network that it names is not.
    """
    refusing = where(asked.rule.statements, op="!=")
    for each in refusing if len(refusing) == 1 else ():
        yield _Word({"!=": "==", "!": ""}, _is_one(asked, each) or _is_elsewhere(asked, each))


def _is_one(asked: _Asked, test: Statement) -> bool:
    single = nat_rules.is_prefix(test.value) and _is_host(test.value)
    return single and bool(asked.values(*PORT_KEYS))


def _is_host(network: str) -> bool:
    return prefix.length(network) == prefix.bits(network.partition("/")[0])


def _is_elsewhere(asked: _Asked, test: Statement) -> bool:
    """Whether a rule for senders spares another interface than the one that they are behind: who leaves those
    of a network out that stay in it spares its own.
    """
    networks = nat_rules.networks(asked.rule.statements, *_FROM)
    here = asked.loss.snapshot[asked.routed.namespace]
    led = [here.link_of(fib.lookup(here, RouteQuery(None, each.partition("/")[0])).leg) for each in networks]
    return test.key in _OUT and bool(led) and test.value not in map(name_of, led)


def _no_answers(asked: _Asked) -> Iterator[_Word]:
    """Connections that are established, where the rule accepts what is related to them, and none of its
    chain accepts the connections themselves.
    """
    states = {*map(str.lower, asked.values(*_STATE))}
    if "related" in states and not _accepts(asked, "established"):
        words = [each for each in asked.rule.rule.text.split() if "related" in each.lower()]
        yield _Word({each: _with_established(each) for each in words}, likely=True)


def _with_established(word: str) -> str:
    return word.replace("RELATED", "RELATED,ESTABLISHED").replace("related", "related,established")


def _accepts(asked: _Asked, state: str) -> bool:
    """Whether a rule of the same chain accepts the connections of a state."""
    for rule in asked.rule.chain.rules:
        of_state = among(rule.statements, key=_STATE)
        nodes = joined.from_iterable(each.nodes for each in of_state)
        if state in map(str.lower, column(nodes, "text")):
            return True
    return False


_KINDS: tuple[Callable[[_Asked], Iterator[_Word]], ...] = (
    _other_interface,
    _other_end,
    _other_port,
    _other_protocol,
    _not_it,
    _no_answers,
)
