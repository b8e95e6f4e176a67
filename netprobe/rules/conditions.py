"""Conditions that depend on more than the packet: how much or how often, chance, lists of recent addresses,
the way back.

Each gives True, False, or a doubt whose `likely` is what holds for a first packet.
"""

# ruff: noqa: ARG001 - the functions of one table take the same arguments
from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_interface, ip_network

from netprobe.model import RecentList, Rule, Statement
from netprobe.model.lookup import column, named, where

from . import ipset, moment, octets
from .expression import Scene
from .packet import FibQuery, HookPacket, Listening
from .ruling import Doubt, Reason
from .selectors import UNKNOWN
from .selectors.meta import of_socket

Answer = bool | Doubt
AMPLE = 64  # a quota that lasts for so many packets like this one is not in doubt


def holds(statement: Statement, rule: Rule, packet: HookPacket, scene: Scene) -> Answer:
    """Whether a condition holds for this packet."""
    return CONDITIONS[statement.kind](statement, rule, packet, scene)


def _negated(answer: Answer, statement: Statement) -> Answer:
    return (not answer) if isinstance(answer, bool) and statement.op == "!=" else answer


def _said(statement: Statement, rule: Rule) -> str:
    return statement.text or rule.text


def _limit(statement: Statement, rule: Rule, packet: HookPacket, scene: Scene) -> Answer:
    """A token bucket: the first packets find tokens in it."""
    options = _options(statement, "limit", scene)
    over = "over" in options or "hashlimit-above" in options
    return Doubt(Reason.LIMIT, _said(statement, rule), likely=not over)


def _connlimit(statement: Statement, rule: Rule, packet: HookPacket, scene: Scene) -> Answer:
    above = "over" in statement.options or "connlimit-above" in statement.options
    return Doubt(Reason.CONNLIMIT, _said(statement, rule), likely=not above)


def _options(statement: Statement, kind: str, scene: Scene) -> dict[str, str]:
    """The statement's numbers, or those of the named object that it refers to."""
    if not statement.target:
        return dict(statement.options)
    meant = where(scene.table.objects, kind=kind, name=statement.target)
    return dict(next(column(meant, "options"), {}))


def _quota(statement: Statement, rule: Rule, packet: HookPacket, scene: Scene) -> Answer:
    """nft tells what is used; iptables does not, but the rule's own byte counter counts what its quota let
    through.

    Kernel: net/netfilter/nft_quota.c (nft_overquota), net/netfilter/xt_quota.c (quota_mt: once refused,
    refused for ever).
    """
    options = _options(statement, "quota", scene)
    quota, used, matches_when_over = options.get("quota"), rule.bytes, statement.op == "!="
    if "bytes" in options:
        quota, used, matches_when_over = options["bytes"], int(options.get("used", 0)), "over" in options
    length = packet.flow.length
    if quota is None or used is None or length is None:
        return Doubt(Reason.UNKNOWN, _said(statement, rule))
    left = int(quota) - used
    if length > left:
        return matches_when_over
    if AMPLE * length <= left:
        return not matches_when_over
    return Doubt(Reason.QUOTA, f"{left} of {quota} bytes left", likely=not matches_when_over)


def _statistic(statement: Statement, rule: Rule, packet: HookPacket, scene: Scene) -> Answer:
    """Kernel: net/netfilter/xt_statistic.c. `--mode nth --every n` holds for one packet in n."""
    options = statement.options
    by_chance = options.get("mode") == "random"
    chance = float(options["probability"]) if by_chance else 1 / int(options.get("every", "1"))
    if statement.op == "!=":
        chance = 1 - chance
    if chance in (0, 1):
        return chance == 1
    return Doubt(Reason.RANDOM, statement.text, likely=chance >= 0.5, chance=chance)


def _time(statement: Statement, rule: Rule, packet: HookPacket, scene: Scene) -> Answer:
    try:
        found = moment.holds(statement, scene.around.moment)
    except ValueError:
        found = None
    return Doubt(Reason.TIME, statement.text) if found is None else found


def _ipset(statement: Statement, rule: Rule, packet: HookPacket, scene: Scene) -> Answer:
    return _negated(ipset.holds(statement, packet, scene), statement)


def _rpfilter(statement: Statement, rule: Rule, packet: HookPacket, scene: Scene) -> Answer:
    """Holds when a reply to the packet's source would leave by the interface it came in on.

    Kernel: net/ipv4/netfilter/ipt_rpfilter.c (rpfilter_mt, rpfilter_lookup_reverse).
    """
    options = statement.options
    if packet.iif is None or scene.around.fib is None:
        return Doubt(Reason.UNKNOWN, statement.text)
    if packet.iif.kind == "loopback":
        return "invert" not in options
    mark = packet.mark if "validmark" in options else None
    answer = scene.around.fib(FibQuery(packet.flow.src, packet.flow.dst, mark or 0, packet.iif.name))
    if answer is None:
        return Doubt(Reason.UNKNOWN, statement.text)
    accepted = _RETURNING["accept-local" in options]
    returns = "loose" in options or packet.iif.name in answer.devices
    return (answer.type in accepted and returns) != ("invert" in options)


_RETURNING = {False: ("unicast",), True: ("unicast", "local")}  # routes, without accept-local and with it


def _recent(statement: Statement, rule: Rule, packet: HookPacket, scene: Scene) -> Answer:
    """Kernel: net/netfilter/xt_recent.c (recent_mt).

    `--set` always holds; the list is what was read at the time.
    """
    options = statement.options
    if "set" in options:
        return _negated(True, statement)
    listed = named(scene.ruleset.recent, statement.target)
    if listed is None:
        return Doubt(Reason.UNKNOWN, f"{statement.text}: the list {statement.target} could not be read")
    address = packet.flow.dst if "rdest" in options else packet.flow.src
    ttl = packet.flow.ttl if "rttl" in options else None
    ages = _ages(listed, _masked(address, options.get("mask")), ttl)
    if "remove" in options:
        return _negated(ages is not None, statement)
    if ages is None:
        return _negated(False, statement)
    longest = float(options.get("seconds", "inf")) * 1000
    within = [age for age in ages if age <= longest]
    return _negated(len(within) >= int(options.get("hitcount", "1")), statement)


def _ages(listed: RecentList, address: str, ttl: int | None) -> tuple[int, ...] | None:
    alike = listed.entries if ttl is None else where(listed.entries, ttl=ttl)
    return next(column(where(alike, address=address), "ages_ms"), None)


def _masked(address: str, mask: str | None) -> str:
    if not mask:
        return address
    length = bin(int(ip_interface(mask).ip)).count("1")
    return str(ip_network(f"{address}/{length}", strict=False).network_address)


def _u32(statement: Statement, rule: Rule, packet: HookPacket, scene: Scene) -> Answer:
    found = None
    with suppress(KeyError, ValueError):
        found = octets.u32(octets.network(packet), statement.options["u32"])
    return Doubt(Reason.UNKNOWN, statement.text) if found is None else _negated(found, statement)


def _socket(statement: Statement, rule: Rule, packet: HookPacket, scene: Scene) -> Answer:
    """Whether there is a socket for the packet (net/netfilter/xt_socket.c, socket_match)."""
    options = statement.options
    found = of_socket(scene.around.listening(packet), lambda socket: _takes(socket, options))
    if found is UNKNOWN:
        return Doubt(Reason.UNKNOWN, statement.text)
    return _negated(bool(found), statement)


def _takes(socket: Listening, options: Mapping[str, str]) -> bool | None:
    """One that is bound to every address counts with --nowildcard alone."""
    bound = not socket.wildcard or "nowildcard" in options
    return bound and ("transparent" not in options or socket.transparent)


def _string(statement: Statement, rule: Rule, packet: HookPacket, scene: Scene) -> Answer:
    """Whether a text is in the packet (net/netfilter/xt_string.c)."""
    found = None
    with suppress(KeyError, ValueError):
        found = octets.holds_text(octets.network(packet), statement.options)
    return Doubt(Reason.UNKNOWN, statement.text) if found is None else _negated(found, statement)


CONDITIONS: dict[str, Callable[[Statement, Rule, HookPacket, Scene], Answer]] = {
    "limit": _limit, "hashlimit": _limit, "connlimit": _connlimit, "quota": _quota, "statistic": _statistic,
    "time": _time,
    "socket": _socket, "string": _string,
    "u32": _u32, "ipset": _ipset, "rpfilter": _rpfilter, "recent": _recent,
}  # fmt: skip
