"""The rule that lets one kind of packet through a firewall, in the words of the tool that made the firewall.
Pure.

It stands first in its chain and is as narrow as a person would write it: from one interface to another, and
for what a machine gets and sends itself by protocol and port, but for loopback, which is its own. A policy of
a table that filters is never opened: that lets everything in.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as joined

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Chain, Command, Flow, Object, Protocol, Rule, Ruleset, Stop
from netprobe.model.lookup import find
from netprobe.model.pattern import pattern
from netprobe.rules.hook import traverse
from netprobe.rules.packet import HookPacket
from netprobe.rules.ruling import Decision, HookVerdict, Reason, Ruling

from . import fixes
from .fixes import Fix

_ESTABLISHED = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
_ANSWERS = {
    True: _ESTABLISHED,
    False: ("-m", "conntrack", "--ctstate", "UNTRACKED"),
}  # those that are tracked
_STATES = {True: "established,related", False: "untracked"}
_XT_PROTOCOLS = {Protocol.ICMPV6: "ipv6-icmp", Protocol.ND: "ipv6-icmp"}
_NFT_SERVICES = {
    Protocol.ICMP: ("icmp", "type", "echo-request"),
    # neighbour discovery is needed as well
    Protocol.ICMPV6: ("meta", "l4proto", "ipv6-icmp"),
    Protocol.ND: ("meta", "l4proto", "ipv6-icmp"),
}
_NFT_BARE = pattern(r"(?!ip6$|icmpv6$)[A-Za-z_]{2,}[0-9][A-Za-z0-9_]*")  # none of nft's own words
_NFT_QUOTED = pattern(r"[!#-)+-\[\]-~]+")  # src/scanner.l: no quote; * and \ have a meaning
_ALTERING = ("mangle", "raw", "nat")  # tables that mark, exempt and translate
_ALTERATIONS = {"match", "set", "counter", "log", "notrack"}
_COMING, _GOING = ("prerouting", "input", "forward"), ("forward", "output", "postrouting")
_IP_TOOLS = ("iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy")


class Passing(Struct, frozen=True, gc=False):
    """A packet at a hook, and the interfaces by which rules see it come and go; `answer`: it belongs to a
    connection that was opened before, or, not `tracked`, may do so; `exact`: to name its interfaces alone
    would be too much; `looped`: it goes over loopback, from the machine to itself.
    """

    hook: str
    flow: Flow
    iif: str | None = None
    oif: str | None = None
    answer: bool = False
    exact: bool = False
    tracked: bool = True
    looped: bool = False

    @property
    def wide(self) -> bool:
        """Whether its interfaces say enough."""
        return self.looped or (self.hook == "forward" and not self.exact)

    @property
    def stays(self) -> bool:
        """Whether its interfaces say enough of its answer as well, which goes between the same (a bridge)."""
        return self.wide and self.iif == self.oif

    def turned(self) -> Passing:
        """The answer to it."""
        hook = _OPPOSITE[self.hook]
        return Passing(hook, self.flow.reversed(), self.oif, self.iif, True, tracked=self.tracked)

    @property
    def states(self) -> str:
        """Those that conntrack gives an answer, as nft(8) writes them."""
        return _STATES[self.tracked]

    def doors(self) -> tuple[str | None, str | None]:
        """The interfaces that a rule may name at this hook: where a packet comes from up to forward, where it
        goes from there on.
        """
        coming, going = dict.fromkeys(_COMING, self.iif), dict.fromkeys(_GOING, self.oif)
        return coming.get(self.hook), going.get(self.hook)


def narrowed(
    ruleset: Ruleset, stop: Stop, ruling: Ruling, subject: HookPacket, family: str, hook: str
) -> Stop:
    """The stop with the exception for this packet, as it is there, as its fix, where a policy ended it, or
    the rule that ends a chain for all that was not accepted before; and for its answer, where that would end
    there too.
    """
    gate = _gate(ruleset, ruling, stop)
    if gate is None:
        return stop
    decision = gate.decision
    if decision.reason is Reason.POLICY and (
        open_again := _for_all(decision.object, _chain(ruleset, decision))
    ):
        return replace(stop, commands=open_again)
    tracked = subject.state != "untracked"
    answer = subject.reply or subject.state in ("established", "related")
    iif, oif = (getattr(link, "name", None) for link in (subject.iif, subject.oif))
    looped = "loopback" in {getattr(link, "kind", None) for link in (subject.iif, subject.oif)}
    answer = answer and not looped
    passing = Passing(hook, ruling.packet.flow, iif, oif, answer, gate.exact, tracked, looped)
    opened = accepting(gate.thing, passing)
    for shut in (
        ()
        if answer or looped or passing.stays
        else _stopping_answers(ruleset, decision, subject, family, hook)
    ):
        thing = gate.thing if hook == "forward" else shut.object
        opened += accepting(thing, passing.turned())
    return replace(stop, commands=opened)


class _Gate(Struct, frozen=True, gc=False):
    """What refuses as a policy would, and `thing`, the policy or rule where an exception would stand; `exact`
    as of Passing.
    """

    decision: Decision
    thing: Object
    exact: bool = False


def _gate(ruleset: Ruleset, ruling: Ruling, stop: Stop) -> _Gate | None:
    """The policy, or what does a policy's work: the last rule of several, for whatever comes, or for whatever
    goes between interfaces for which another rule accepts something; None for any other rule.

    A chain that only refuses has no exceptions: they stand in the one whose last rule leads to it.
    """
    decision = ruling.decision
    if decision is None or stop.object != decision.object:
        return None
    if decision.reason is Reason.POLICY:
        return _Gate(decision, decision.object)
    refusing: list[str] = []
    for each in (decision, *reversed(ruling.passed)):
        *before, last = _rules(ruleset, each)
        if (each.table, each.rule) != (decision.table, last.number):
            return None
        if last.asks:
            return None if refusing else _between_doors(decision, before, last.asks)
        if {rule.leads_to for rule in before}.difference(refusing):
            return _Gate(decision, each.object)
        refusing.append(each.chain)
    return None


def _between_doors(decision: Decision, before: list[Rule], asked: dict[str, str]) -> _Gate | None:
    """A rule that asks for interfaces alone, where one before it accepts some of what goes between them."""
    if not _DOORS.issuperset(asked.values()):
        return None  # most rules do not, and there may be many before
    alike = (rule.statements for rule in before if asked.keys() <= rule.asks.keys())
    accepted = "accept" in {each.kind for statements in alike for each in statements}
    return _Gate(decision, decision.object, exact=True) if accepted else None


_UNREAD = Rule(0, "", ())
_DOORS = {"iifname", "oifname", "meta iifname", "meta oifname", "meta iif", "meta oif"}


def _for_all(thing: Object, base: Chain) -> Fix:
    """The policy turned, in a table that is not made for filtering: who drops there shuts all out, and has no
    exceptions to hold (iptables(8), TABLES). What a chain of nft is for, its type and its rules tell.
    """
    match thing.line:
        case ("nft", family, table, chain, *_) if base.type == "nat" or _only_alter(base.rules):
            return fixes.nft((table, chain), "chain", family, table, chain, "{ policy accept; }")
        case (tool, table, chain, *_) if tool in _IP_TOOLS and table in _ALTERING:
            return fixes.xtables(tool, table, chain, "-P", chain, "ACCEPT")
    return ()


def _only_alter(rules: tuple[Rule, ...]) -> bool:
    """Whether some rules set something of packets, each without a verdict, a jump or something not known."""
    kinds = {statement.kind for rule in rules for statement in rule.statements}
    return "set" in kinds and kinds <= _ALTERATIONS


def _rules(ruleset: Ruleset, decision: Decision) -> tuple[Rule, ...]:
    """The rules of the chain in which one decided."""
    return _chain(ruleset, decision).rules


def _chain(ruleset: Ruleset, decision: Decision) -> Chain:
    table = ruleset.table(decision.engine, decision.family, decision.table)
    chain = table.chain(decision.chain) if table is not None else None
    return chain or Chain("", rules=(_UNREAD,))


_OPPOSITE = {"forward": "forward", "input": "output", "output": "input"}


def _stopping_answers(
    ruleset: Ruleset, decision: Decision, subject: HookPacket, family: str, hook: str
) -> Iterator[Decision]:
    """What stops the answer as it stops the packet: where it is forwarded the same again, at the other of a
    machine's own doors a policy of the same table.
    """
    if hook not in _OPPOSITE:
        return
    state = {"untracked": "untracked"}.get(subject.state or "", "established")
    back = replace(
        subject, flow=subject.flow.reversed(), iif=subject.oif, oif=subject.iif, in_port=subject.out_port,
        out_port=subject.in_port, state=state, reply=True,
    )  # fmt: skip
    found = traverse(ruleset, family, _OPPOSITE[hook], back)
    shut = found.decision
    if found.verdict not in (HookVerdict.DROP, HookVerdict.REJECT) or shut is None:
        return
    whole = decision.reason is shut.reason is Reason.POLICY
    of_one = (shut.engine, shut.family, shut.table) == (decision.engine, decision.family, decision.table)
    if shut.object.id == decision.object.id or (hook != "forward" and whole and of_one):
        yield shut


def accepting(thing: Object, passing: Passing) -> Fix:
    """The command that puts an accepting rule first in the chain of `thing`, a policy or a rule."""
    match thing.line:
        case ("nft", family, table, chain, *_):
            matches = _nft_matches(family, passing)
            if matches is None:
                return (fixes.NO_NFT_NAME,)
            words = ("insert", "rule", family, table, chain, *matches, "accept")
            return fixes.nft((table, chain), *words)
        case (tool, table, chain, *_):
            if any(name.endswith("+") for name in filter(None, passing.doors())):
                return (fixes.NO_INTERFACE,)
            words = ("-I", chain, *_xt_matches(tool, table, passing), "-j", "ACCEPT")
            return fixes.xtables(tool, table, chain, *words)
    return ()


def _xt_matches(tool: str, table: str, passing: Passing) -> tuple[str, ...]:
    named = [(word, name) for word, name in zip(("-i", "-o"), passing.doors(), strict=True) if name]
    words = tuple(joined.from_iterable(named))
    if tool not in _IP_TOOLS:
        return words
    if table == "raw":  # it stands before connection tracking
        return (*words, "-s", passing.flow.src, "-d", passing.flow.dst)
    if passing.answer:
        return (*words, *_ANSWERS[passing.tracked])
    return words if passing.wide else (*words, *_xt_service(passing.flow))


def _xt_service(flow: Flow) -> tuple[str, ...]:
    """What is asked for: the protocol, and its port."""
    words = ("-p", _XT_PROTOCOLS.get(flow.protocol, str(flow.protocol)))
    return words if flow.dport is None else (*words, "--dport", str(flow.dport))


def _nft_matches(family: str, passing: Passing) -> tuple[str, ...] | None:
    """None where an interface has a name that cannot be written in nft's language."""
    words: list[str] = []
    for word, name in zip(("iifname", "oifname"), passing.doors(), strict=True):
        if name is None:
            continue
        if not _NFT_QUOTED.fullmatch(name):
            return None
        words += [word, name if _NFT_BARE.fullmatch(name) else f'"{name}"']
    return _nft_packets(family, passing, tuple(words))


def _nft_packets(family: str, passing: Passing, words: tuple[str, ...]) -> tuple[str, ...]:
    """What packets are accepted, behind the words that name the interfaces."""
    flow = passing.flow
    if family == "netdev" and flow.protocol is not Protocol.ARP:
        ip = {4: "ip", 6: "ip6"}[flow.version]
        return (ip, "saddr", flow.src, ip, "daddr", flow.dst)
    if family in ("arp", "bridge", "netdev"):
        return words or ("ether", "type", "arp")
    if passing.answer:
        return (*words, "ct", "state", passing.states)
    return words if passing.wide else (*words, *_nft_service(flow))


def _nft_service(flow: Flow) -> tuple[str, ...]:
    if flow.dport is not None:
        return (str(flow.protocol), "dport", str(flow.dport))
    return _NFT_SERVICES.get(flow.protocol, ("meta", "l4proto", str(flow.protocol)))


LIMITS = ("limit", "hashlimit", "quota", "connlimit")
_NFT_LIMIT = pattern(
    r"(?:limit rate (?:over )?\d+(?: \w+)?/\w+(?: burst \d+ \w+)?"
    r"|quota (?:over |until )?\d+ \w+(?: used \d+ \w+)?) "
)


def unlimited(ruleset: Ruleset, decision: Decision) -> Fix:
    """The accepting rule without the limit that it has, in its place; a rule that drops what is too much is
    deleted.
    """
    found = find(_rules(ruleset, decision), number=decision.rule)
    gone = fixes.without(decision.object)
    if found is None or "accept" not in [each.kind for each in found.statements]:
        return gone
    match decision.object.line:
        case ("nft", family, table, chain, "handle", handle):
            text = without_limit(found.text)
            words = ("replace", "rule", family, table, chain, "handle", handle, text)
            return gone if text == found.text else tuple(map(_noted, fixes.nft((table, chain), *words)))
        case (tool, table, chain, number):
            kept = _xt_without_limit(fixes.xt_words(chain, found.text))
            made = fixes.xtables(tool, table, chain, "-I", chain, number, *kept)
            return (*map(_noted, made), *gone)
    return ()


REFUSING = ("drop", "reject")
_NFT_REFUSAL = pattern(r"\b(?:drop|reject(?: with .*)?)$")
_COUNTED = pattern(r"\bcounter packets \d+ bytes \d+")


def turned(text: str) -> str | None:
    """A rule as nft prints it that accepts what it refused; None where it refuses nothing."""
    made, times = _NFT_REFUSAL.subn("accept", text.partition(" comment ")[0])
    return _COUNTED.sub("counter", made) if times else None


def accepted(thing: Object) -> Fix:
    """The rule that refuses, made to accept in its place; nothing where it is not known how."""
    match thing.line:
        case ("nft", family, table, chain, "handle", handle):
            text = turned(thing.text)
            words = ("replace", "rule", family, table, chain, "handle", handle, text or "")
            return fixes.nft((table, chain), *words) if text else ()
        case (tool, table, chain, number):
            old = fixes.xt_words(chain, thing.text)
            if "-j" not in old:
                return ()
            kept = (*old[: old.index("-j")], "-j", "ACCEPT")
            return fixes.xtables(tool, table, chain, "-R", chain, number, *kept)
    return ()


def _noted(command: Command) -> Command:
    return replace(command, note="its limit is gone: raise it instead, if it is needed")


def without_limit(text: str) -> str:
    """A rule as nft prints it, without its limit; unchanged where the limit is one that has a name."""
    return _NFT_LIMIT.sub("", text, count=1)


def _xt_without_limit(words: tuple[str, ...]) -> tuple[str, ...]:
    kept: list[str] = []
    inside = False
    for at, word in enumerate(words):
        if word in ("-m", "-j", "-g"):
            inside = word == "-m" and words[at + 1] in LIMITS
        if not inside:
            kept.append(word)
    return tuple(kept)
