"""What a ruling says to a person: the rule that ends a packet, the chance that one might, what was not
understood.
"""

from __future__ import annotations

from itertools import chain as joined

from netprobe.model import Object, Place, Protocol, Ruleset, Stop
from netprobe.model.lookup import among
from netprobe.model.pattern import pattern
from netprobe.rules.ruling import Decision, HookVerdict, Reason, Ruling

from . import allow, fixes

_CODES = {
    Reason.POLICY: "policy-drop",
    Reason.LIMIT: "rate-limited",
    Reason.QUOTA: "rate-limited",
    Reason.CONNLIMIT: "rate-limited",
    Reason.RANDOM: "random-drop",
    Reason.RPFILTER: "rp-filter",
    Reason.INVALID: "conntrack-invalid",
    Reason.FRAGMENT: "frag-dropped",
    Reason.QUEUE: "queue-no-listener",
    Reason.PROXY: "nat-redirect-dead",
}
_WORDS = {
    "policy-drop": "drops what no rule accepts",
    "queue-no-listener": "hands the packet to a queue that no program serves",
    "nat-redirect-dead": "hands the packet to a proxy, and there is no socket that takes it (IP_TRANSPARENT)",
}
_CHANCE = {Reason.LIMIT, Reason.QUOTA, Reason.CONNLIMIT, Reason.RANDOM}
_LETS_PASS = {HookVerdict.ACCEPT, HookVerdict.QUEUE}
_ABOUT_ND = pattern("icmpv6|nd-|neighbo")


def likely(rules: Ruleset, ruling: Ruling, place: Place) -> tuple[Ruling, tuple[Stop, ...]]:
    """The way to follow, and the chances of another one: where limits and dice decide, the packet goes on
    under suspicion.
    """
    if ruling.verdict is HookVerdict.UNDETERMINED:
        return ruling, ()
    ways = (ruling, *ruling.alternatives)
    passing = next(iter(among(ways, verdict=_LETS_PASS)), None)
    losing = among(ways, verdict=(HookVerdict.DROP, HookVerdict.REJECT))
    chances = tuple(filter(None, (_chance(rules, place, way, ruling) for way in losing)))
    return (ruling, ()) if passing is None or not chances else (passing, chances)


def _chance(rules: Ruleset, place: Place, dropping: Ruling, main: Ruling) -> Stop | None:
    """The loss by a limit or by dice; None where there are none."""
    doubts = joined.from_iterable(way.doubts for way in (dropping, main, *main.alternatives))
    doubt = next(iter(among(doubts, reason=_CHANCE)), None)
    if doubt is None:
        return None
    rule, code = doubt.decision or dropping.decision, _CODES[doubt.reason]
    share = f" ({doubt.chance:.0%} of the packets)" if doubt.chance else ""
    said = f"decides by {doubt.text}{share}: it lets some packets pass and not others"
    if rule is None:
        return Stop(code, place, f"a rule {said}")
    return Stop(code, place, f"{rule.object.id} {said}", rule.object, allow.unlimited(rules, rule))


def doubtful(thing: Object | None, place: Place, text: str) -> Stop:
    """A rule, as far as it is known, that was not understood."""
    what = thing.id if thing else "a rule"
    return Stop(
        "filtered-by-rule",
        place,
        f"{what} could not be evaluated ({text}): {thing.text if thing else ''}",
        thing,
    )


def stop(rules: Ruleset, place: Place, ruling: Ruling) -> Stop:
    """The rule or policy that ends the packet, as the end of the walk."""
    decision = ruling.decision
    if decision is None:
        return Stop("filtered-by-rule", place, "a rule drops the packet")
    used_up = next(iter(among(ruling.spent, reason=_CHANCE)), None)
    if used_up is not None:
        text = (
            f"{used_up.object.id} is used up, and so the packet goes on to {decision.object.id}, which"
            " ends it"
        )
        return Stop("rate-limited", place, text, used_up.object, allow.unlimited(rules, used_up))
    if ruling.verdict is HookVerdict.REJECT:
        how = ruling.reject.text if ruling.reject else ""
        return Stop(
            "rejected-by-rule",
            place,
            f"{decision.object.id} rejects the packet{f' with {how}' if how else ''}",
            decision.object,
            fixes.without(decision.object, rules),
        )
    code = _asking(ruling, decision) or _CODES.get(decision.reason, "filtered-by-rule")
    what = _WORDS.get(code, "drops the packet")
    if ruling.diverted:
        what = f"sends the packet out of {ruling.diverted}, and so not on"
    fix = fixes.without(decision.object, rules)
    return Stop(code, place, f"{decision.object.id} {what}", decision.object, fix)


def astray(rules: Ruleset, place: Place, ruling: Ruling) -> Stop:
    """The rule that gave a frame a MAC, where no station takes that up: the last one that it passed."""
    thing, mac = ruling.passed[-1].object, ruling.packet.flow.dst_mac
    text = f"{thing.id} gives frames for {ruling.packet.flow.dst} the MAC {mac}, which no station has"
    return Stop("dnat-dead-target", place, text, thing, fixes.without(thing, rules))


# The codes of rules that are about questions for a neighbour: they keep its owner silent, whoever that is.
OF_QUESTIONS = ("arp-filtered", "nd-filtered")


def _asking(ruling: Ruling, decision: Decision) -> str | None:
    """The code for a rule that is about ARP, neighbour discovery or stations; one that drops any packet is
    just a filter.
    """
    said, protocol = decision.object.text.lower(), ruling.packet.flow.protocol
    if protocol is Protocol.ARP and (decision.family == "arp" or "arp" in said):
        return "arp-filtered"
    if decision.family == "netdev" and "ether saddr" in said:
        return "mac-not-allowed"
    if protocol is Protocol.ND and _ABOUT_ND.search(said):
        return "nd-filtered"
    return None
