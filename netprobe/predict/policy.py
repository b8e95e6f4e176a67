"""Policy rules: in which order the kernel asks them, and which of them select a packet. Pure.

Kernel: net/core/fib_rules.c (fib_rule_match, fib_rules_lookup), net/ipv4/fib_rules.c (fib4_rule_match);
ip-rule(8).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from operator import attrgetter

from netprobe.model import Namespace, PolicyRule, RouteQuery
from netprobe.model.lookup import gathered, grouped, indexed

from . import prefix


def rules_for(namespace: Namespace, version: int) -> tuple[PolicyRule, ...]:
    """The policy rules of one IP version in the order in which the kernel asks them."""
    return indexed(_by_version, namespace.rules).get(version, ())


def _by_version(rules: tuple[PolicyRule, ...]) -> dict[int, tuple[PolicyRule, ...]]:
    return grouped(sorted(rules, key=_priority), _version)


_priority: Callable[[PolicyRule], int] = attrgetter("priority")
_version: Callable[[PolicyRule], int] = attrgetter("version")


def selected(namespace: Namespace, query: RouteQuery) -> Iterator[PolicyRule]:
    """The policy rules that select a query, as the kernel comes to them: a goto leads on to another."""
    rules = rules_for(namespace, prefix.version(query.dst))
    concerned = _concerned(rules, query.src)
    position = 0
    while (at := bisect_left(concerned, position)) < len(concerned):
        rule = rules[concerned[at]]
        position = concerned[at] + 1
        if not matches(namespace, rule, query):
            continue
        if rule.action == "goto":
            position = max(position, _target(rules, rule))
            continue
        yield rule


def _target(rules: tuple[PolicyRule, ...], rule: PolicyRule) -> int:
    """The number of the rule that a goto leads to, which is always further on (fib_nl2rule); one to a
    priority that no rule has is passed over (FR_ACT_GOTO without a ctarget).
    """
    at = bisect_left(rules, rule.goto or 0, key=_priority)
    return at if at < len(rules) and rules[at].priority == rule.goto else 0


def _concerned(rules: tuple[PolicyRule, ...], src: str | None) -> list[int]:
    """The numbers of those rules that may select a packet from `src`: all but the others' of a single source,
    of which a machine may have one for each of its addresses.
    """
    of_source = indexed(_by_source, rules)
    any_of_one = len(of_source) > (None in of_source)
    own = of_source.get(prefix.canonical(src), ()) if src and any_of_one else ()
    return sorted((*of_source.get(None, ()), *own))


def _by_source(rules: tuple[PolicyRule, ...]) -> dict[str | None, tuple[int, ...]]:
    """The numbers of the rules by the one address that they select the packets of; None of those for any
    source or for many.
    """
    return gathered((_single_source(rule), number) for number, rule in enumerate(rules))


def _single_source(rule: PolicyRule) -> str | None:
    src = rule.src
    if src is None or rule.inverted:
        return None
    if ":" in src:  # only of these there is more than one spelling
        return prefix.canonical(src[:-4]) if src.endswith("/128") else None
    return src[:-3] if src.endswith("/32") else None


def matches(namespace: Namespace, rule: PolicyRule, query: RouteQuery) -> bool:
    """Whether a policy rule selects this query (fib_rule_match, fib4_rule_match)."""
    return _selects(namespace, rule, query) is not rule.inverted


def _selects(namespace: Namespace, rule: PolicyRule, query: RouteQuery) -> bool:
    if rule.tos or rule.protocol not in (None, query.protocol) or not _fits_mark(rule, query.mark):
        return False
    # of local output the kernel gives the loopback device as the input interface
    if not _is_device(namespace, rule.iif, query.iif, local="lo"):
        return False
    if not _is_device(namespace, rule.oif, query.oif):
        return False
    # what is forwarded counts as sent by root (ip_route_input_slow: sock_net_uid of no socket)
    uid = query.uid if query.iif is None else 0
    ranges = ((rule.uids, uid), (rule.sports, query.sport), (rule.dports, query.dport))
    if not all(_in_range(wanted, value) for wanted, value in ranges):
        return False
    return _is_in(rule.src, query.src) and _is_in(rule.dst, query.dst)


def _fits_mark(rule: PolicyRule, mark: int) -> bool:
    asked = rule.mark or rule.mask != 0xFFFFFFFF
    return not asked or not (mark ^ rule.mark) & rule.mask


def _is_device(namespace: Namespace, name: str | None, index: int | None, local: str | None = None) -> bool:
    if name is None:
        return True
    link = namespace.link(index)
    return name == (local if index is None else link and link.name)


def _in_range(wanted: tuple[int, int] | None, value: int | None) -> bool:
    return wanted is None or (value is not None and wanted[0] <= value <= wanted[1])


def _is_in(network: str | None, address: str | None) -> bool:
    """Whether an address lies in a prefix; one that is not chosen yet in that of all alone."""
    if network is None:
        return True
    return prefix.contains(network, address) if address else prefix.length(network) == 0
