"""The routing decision on the walk: the kernel's own answer where it was asked, the FIB model for the object
behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from netprobe.model import (
    ROUTED,
    Command,
    InterfaceAddress,
    Link,
    Namespace,
    Nexthop,
    Object,
    PolicyRule,
    Route,
    RouteAnswer,
    RouteQuery,
    Stage,
    Stop,
)
from netprobe.model.link import name_of
from netprobe.model.lookup import but, find, not_among, where

from . import fib, fixes, ipv6, policy, prefix, rp_filter
from .drop import link_down, lost
from .fib import FibResult
from .view import Ground, Packet

_WITHOUT_LEGS = ("local", "broadcast", "multicast")
_CODES = {"blackhole": "route-blackhole", "unreachable": "route-unreachable", "prohibit": "route-prohibit"}

# What a new cable needs before it carries anything; the addresses nobody here knows.
_THEN = Command.advice(
    "and then: both ends up, the near one a port of the bridge, the other with address and route"
)


def query(packet: Packet, iif: Link | None = None, src: str | None = None) -> RouteQuery:
    """The lookup the kernel makes for this packet."""
    flow = packet.flow
    return RouteQuery(
        src if src is not None else flow.src, flow.dst, iif=iif.index if iif else None, mark=packet.mark,
        uid=packet.uid if iif is None else None, protocol=flow.protocol.number, sport=flow.sport,
        dport=flow.dport,
    )  # fmt: skip


def query_out(namespace: Namespace, packet: Packet) -> RouteQuery:
    """The lookup for a packet of the namespace's own; a link-local destination is one of the interface it is
    meant on.
    """
    scope = packet.scope if prefix.needs_scope(packet.flow.dst) else None
    link = namespace.link_named(scope or "")
    return replace(query(packet), oif=packet.bound if link is None else link.index)


def decide(ground: Ground, name: str, asked: RouteQuery) -> FibResult:
    """The route for a query. Where the kernel and the model name different legs, the kernel's is taken."""
    namespace = ground.namespace(name)
    own = fib.sought(namespace, asked)
    if _is_refused(namespace, asked):
        return own
    return _told(own, ground.kernel_route(name, asked, lambda answer: _told(own, answer) == own))


def _told(own: FibResult, answer: RouteAnswer | None) -> FibResult:
    """The model's decision when the kernel has answered."""
    if answer is None:
        return own
    if answer.error is not None:
        return replace(own, error=own.error or answer.error)
    return _from_kernel(own, answer)


def _is_refused(namespace: Namespace, asked: RouteQuery) -> bool:
    """Whether the kernel refuses to answer, so that the model alone decides."""
    return not asked.is_answered or _is_foreign(namespace, asked)


def _is_foreign(namespace: Namespace, asked: RouteQuery) -> bool:
    """Whether a packet of the namespace's own bears an IPv4 source that is not its own: the kernel says
    nothing but EINVAL then (ip_route_output_key_hash_rcu).
    """
    if asked.src is None or asked.iif is not None:
        return False
    bare = asked.src == "0.0.0.0" or prefix.version(asked.dst) == 6
    return not bare and not fib.has_source(namespace, asked.src)


def _from_kernel(own: FibResult, answer: RouteAnswer) -> FibResult:
    legs = (leg for leg in own.candidates if leg.index == answer.index and answer.via in (None, leg.via))
    leg = next(legs, None)
    if leg is not None and own.is_on_link and answer.type == "unicast":
        return _with_path(own, answer)
    if own.error is None and own.type == answer.type and (leg is not None or own.type in _WITHOUT_LEGS):
        return _with_path(replace(own, leg=leg or own.leg), answer)
    route = Route(
        answer.prefix or "0.0.0.0/0",
        answer.type,
        answer.table or fib.MAIN,
        (Nexthop(answer.index, answer.via),),
        source=answer.source,
    )
    return _with_path(FibResult(route, route.nexthops[0], own.rule, candidates=route.nexthops), answer)


def _with_path(decision: FibResult, answer: RouteAnswer) -> FibResult:
    """The decision with the path MTU that the kernel has learned (rt_fill_info, rt6_fill_node), if it has."""
    if answer.mtu in (None, decision.found.mtu):
        return decision
    return replace(decision, learned=answer.mtu, learned_lock=answer.mtu_lock)


def refuse_output(namespace: Namespace, packet: Packet, decision: FibResult) -> Stop:
    """Why a local packet has no route, down to the object."""
    return _refusal(namespace, packet, decision, Stage.ROUTE)


def refuse_input(ground: Ground, name: str, link: Link, packet: Packet, decision: FibResult) -> Stop | None:
    """Why a packet that came in on `link` is not routed on: its source first, as the kernel checks it with
    the route.
    """
    out = rp_filter.seen_from(decision)
    checked = rp_filter.check(ground, name, link, packet.flow.src, packet.flow.dst, packet, out)
    if checked is not None and decision.error not in ("ENETUNREACH",):
        return checked
    if decision.error is None:
        return checked
    if fib.sought(ground.namespace(name), query(packet, link)).error is not None:
        return _refusal(ground.namespace(name), packet, decision, Stage.ROUTE)
    return checked


def _as_deleted(route: Route) -> Route:
    """The route as `ip route del` finds it: by its type, but where that is its nexthop object's."""
    return replace(route, type="unicast") if route.by_object else route


def _refusal(namespace: Namespace, packet: Packet, decision: FibResult, stage: Stage) -> Stop:
    if decision.type in _CODES:
        route = decision.found
        text = fib.describe(route, None, None)
        object = Object("route", text, f"{text} metric {route.metric}" if route.metric else text)
        where = f"the route {text} of {namespace.name} refuses {packet.flow.dst}"
        fix = fixes.ip(packet.flow.dst, "route", "del", *fib.words(_as_deleted(route), None, None))
        return lost(_CODES[decision.type], namespace.name, None, stage, where, object=object, fix=(fix,))
    if decision.rule is not None and decision.rule.action in _CODES:
        text = describe_rule(decision.rule)
        fix = fixes.without_policy_rule(packet.flow.dst, text)
        return lost("rule-prohibit", namespace.name, None, stage,
            f"the policy rule «{text}» of {namespace.name} refuses the packet",
                    object=Object("policy-rule", text, text), fix=(fix,))  # fmt: skip
    if (kept := _kept_at_home(namespace, packet, decision)) is not None:
        return kept
    stop = no_route(namespace, packet)
    # the kernel says so; the tables that were read say otherwise
    if stop.code == "no-route" and decision.route is not None:
        text = (
            f"the kernel of {namespace.name} does not route to {packet.flow.dst} ({decision.error}), but its"
            " tables have"
        )
        return lost(
            "unknown",
            namespace.name,
            None,
            stage,
            f"{text} {fib.describe(decision.route, decision.leg, None)}",
        )
    return stop


def _kept_at_home(namespace: Namespace, packet: Packet, decision: FibResult) -> Stop | None:
    """A packet from 127/8 that should leave by an interface without route_localnet (__mkroute_output)."""
    out = namespace.link_of(decision.leg)
    if (
        out is None
        or out.kind == "loopback"
        or not prefix.contains("127.0.0.0/8", packet.flow.src or "0.0.0.0")
    ):
        return None
    key = f"net.ipv4.conf.{out.key}.route_localnet"
    if "1" in (namespace.sysctl(key), namespace.sysctl("net.ipv4.conf.all.route_localnet")):
        return None
    text = f"{namespace.name} lets nothing from {packet.flow.src} out of {out.name}: {key} = 0"
    thing = Object("sysctl", key, f"{key} = 0")
    fix = fixes.sysctl(key, 1)
    return lost("martian-source", namespace.name, out, Stage.ROUTE, text, object=thing, fix=fix)


def no_route(namespace: Namespace, packet: Packet) -> Stop:
    """Nothing matches: an interface that is down and took its routes along, a policy rule, or a plain hole in
    the table.
    """
    real = but(but(namespace.links, kind="loopback"), name="lo")
    if not real:
        text = f"{namespace.name} has no interface besides lo (a container's is usually called eth0)"
        return lost(
            "link-missing",
            namespace.name,
            None,
            Stage.ROUTE,
            text,
            object=Object("link", "eth0", text),
            fix=(fixes.cable("eth0", namespace.name), _THEN),
        )
    down = _down_link(namespace, packet.flow.dst)
    if down is not None:
        return link_down(namespace.name, down, Stage.ROUTE)
    if (
        packet.flow.version == 6
        and (off := ipv6.disabled(namespace, real) or ipv6.refused(namespace, 6)) is not None
    ):
        return off
    bare = [link for link in real if link.up and not _has_address(namespace, link, packet.flow.version)]
    if len(bare) == len(real):
        text = (
            f"{bare[0].name} in {namespace.name} has no IPv{packet.flow.version} address, and so there are no"
            " routes by it"
        )
        return lost("addr-missing", namespace.name, bare[0], Stage.ROUTE, text,
            object=Object("address", f"dev {bare[0].name}", text),
                    fix=(fixes.with_address(bare[0]),))  # fmt: skip
    if packet.flow.version == 6 and (refused := _refuses_routers(namespace, real)) is not None:
        return refused
    nothing = without_route(namespace, packet.flow.dst)
    return replace(nothing, proof=_deaf_to_routers(namespace, real) if packet.flow.version == 6 else ())


def without_route(namespace: Namespace, dst: str) -> Stop:
    """No route to an address, and the one that a reader would add."""
    text = f"{namespace.name} has no route to {dst}"
    fix = (fixes.ip(dst, "route", "add", "default", "via", fixes.GATEWAY, *_promise(namespace, dst)),)
    thing = Object("route", dst, f"no route to {dst}")
    return lost("no-route", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)


def _promise(namespace: Namespace, dst: str) -> tuple[str, ...]:
    """The words for a gateway that no route leads to: where no network is on a wire, none is a valid one
    (net/ipv4/fib_semantics.c, fib_check_nh_v4_gw).
    """
    version = prefix.version(dst)
    if _has_network(namespace, version):
        return ()
    running = but(where(namespace.links, up=True), kind="loopback")
    name = next((link.name for link in running if _has_address(namespace, link, version)), None)
    return () if name is None else ("dev", name, "onlink")


def _has_network(namespace: Namespace, version: int) -> bool:
    """Whether a route leads straight to stations on a wire."""
    routes = where(namespace.routes, type="unicast", version=version)
    return any(leg.via is None for route in routes for leg in route.nexthops)


def _deaf_to_routers(namespace: Namespace, links: Sequence[Link]) -> tuple[str, ...]:
    """The settings by which no route of a router's advertisement is taken (ndisc_router_discovery)."""
    found = []
    for link in filter(lambda each: not _is_of_cables(namespace, each), links):
        key = f"net.ipv6.conf.{link.key}"
        names = (f"{key}.{name}" for name in ("accept_ra", "accept_ra_defrtr"))
        off = [name for name in names if link.up and namespace.sysctl(name) == "0"]
        found += [f"{name} = 0: routes that routers announce there are not taken" for name in off[:1]]
    return tuple(found)


def _is_of_cables(namespace: Namespace, link: Link) -> bool:
    """Whether a bridge has ports to other namespaces alone, or none: no router of the wire is behind it."""
    return link.kind == "bridge" and all(port.kind == "veth" for port in namespace.ports(link))


def may_send_from(namespace: Namespace, address: str) -> bool:
    """Whether a socket can be bound to the address: it is the namespace's own, or ip_nonlocal_bind allows any
    (ip-sysctl).
    """
    own = namespace.address(address)
    if own is not None and fib.is_usable(own):
        return True
    if fib.sought(namespace, RouteQuery(None, address)).type == "local":
        return True
    return namespace.sysctl(f"net.ipv{prefix.version(address)}.ip_nonlocal_bind") == "1"


def not_own(namespace: Namespace, address: str) -> Stop:
    """The probe is to come from an address that its source does not have: EADDRNOTAVAIL of bind(2)."""
    own = namespace.address(address)
    if own is not None:
        return ipv6.refused(namespace, 6, address) or _tentative(namespace, own)
    version = prefix.version(address)
    usual = [a.address for a in where(namespace.addresses, version=version, scope="global")]
    has = f"it has {', '.join(usual)}" if usual else f"it has no IPv{version} address"
    text = f"{address} is not an address of {namespace.name}; {has}"
    return lost("addr-missing", namespace.name, None, Stage.OUTPUT, text,
        object=Object("address", address, text),
                fix=(fixes.with_address(None, address),))  # fmt: skip


def _tentative(namespace: Namespace, own: InterfaceAddress) -> Stop:
    """An IPv6 address that nobody may use until it is known to be the only one (RFC 4862)."""
    link = namespace.link(own.index)
    text = f"{namespace.name} does not use {own.address} yet: duplicate address detection is not over"
    written = f"{own.written} dev {name_of(link)}"
    object = Object("address", written, "tentative")
    return lost("addr-dad-failed", namespace.name, link, Stage.OUTPUT, text, object=object)


def _refuses_routers(namespace: Namespace, links: Sequence[Link]) -> Stop | None:
    """IPv6 routers announce themselves, but a host that forwards does not listen to them unless accept_ra is
    2 (ip-sysctl). Where somebody has written routes, no router was waited for.
    """
    routes = where(namespace.routes, type="unicast", version=6)
    if not_among(routes, protocol=("kernel", "ra")):
        return None
    for link in links:
        key = f"net.ipv6.conf.{link.key}"
        settings = {namespace.sysctl(f"{key}.{what}") for what in ("accept_ra", "forwarding")}
        if settings != {"1"} or not link.up or not _has_address(namespace, link, 6):
            continue
        learned = any((route.type, route.protocol) == ("unicast", "ra") for route in namespace.routes)
        if learned and namespace.sysctl("net.ipv6.conf.default.forwarding") == "1":
            continue
        name = f"{key}.accept_ra"
        text = (
            f"{namespace.name} forwards, and so it ignores the routers that announce themselves on"
            f" {link.name}: {name} = 1"
        )
        return lost("ra-not-accepted", namespace.name, link, Stage.ROUTE, text,
            object=Object("sysctl", name, f"{name} = 1"),
                    fix=fixes.sysctl(name, 2))  # fmt: skip
    return None


def _has_address(namespace: Namespace, link: Link, version: int) -> bool:
    return any(a.scope != "link" for a in namespace.addresses_of(link, version))


def local_rule_missing(namespace: Namespace, packet: Packet) -> Stop | None:
    """The namespace has the address, but no policy rule asks the local table first, and so it does not know
    its own.
    """
    if namespace.owner_of(packet.flow.dst) is None:
        return None
    rules = policy.rules_for(namespace, packet.flow.version)
    if find(rules, action="lookup", table=fib.LOCAL) in rules[:1]:
        return None
    text = (
        f"{packet.flow.dst} is {namespace.name}'s own, but no policy rule looks it up in the table local"
        " first"
    )
    id = "0: from all lookup local"
    return lost("rule-local-missing", namespace.name, None, Stage.ROUTE, text,
        object=Object("policy-rule", id, f"{id} (missing)"),
                fix=(fixes.ip(packet.flow.dst, "rule", "add", "pref", "0", "from", "all", "lookup", "local"),
                ))  # fmt: skip


def taken_for_another_s(namespace: Namespace, link: Link, packet: Packet) -> Stop | None:
    """Why a namespace does not know its own address in a question that comes in on `link`, or an answer: a
    rule before that of the table local leads it elsewhere (arp_process, ip6_route_input).
    """
    src, dst = packet.flow.src, packet.flow.dst
    unruled = local_rule_missing(namespace, packet)
    if unruled is None or fib.sought(namespace, RouteQuery(src, dst, iif=link.index)).type == "local":
        return None
    return unruled


def _down_link(namespace: Namespace, dst: str) -> Link | None:
    """An interface whose being down explains a missing route: its network holds the target, or it is the only
    way out.
    """
    own = [(namespace.link(each.index), each) for each in _addresses(namespace, dst)]
    real = [(link, each) for link, each in own if link is not None and link.name != "lo"]
    near = {link.index for link, each in real if not link.up and fib.on_link((each,), dst)}
    if near or any(link.up for link, _ in real):
        return next((link for link in namespace.links if link.index in near), None)
    others = but(namespace.links, name="lo")
    down = where(others, up=False)
    able = down if len(others) == 1 else filter(namespace.addresses_of, down)
    return next(iter(able), None)


def _addresses(namespace: Namespace, dst: str) -> tuple[InterfaceAddress, ...]:
    """The addresses of a namespace of the IP version of `dst`."""
    return where(namespace.addresses, version=prefix.version(dst))


def describe_rule(rule: PolicyRule) -> str:
    """A policy rule as ip-rule(8) prints it: "100: from 10.0.0.2 lookup 100"."""
    return " ".join(filter(None, (f"{rule.priority}:", *_selectors(rule), _action(rule))))


def _selectors(rule: PolicyRule) -> tuple[str, ...]:
    words = (
        (rule.inverted, "not"),
        (True, f"from {rule.src or 'all'}"),
        (rule.dst, f"to {rule.dst}"),
        (rule.tos, f"tos {rule.tos:#x}"),
        (rule.mark, f"fwmark {mark_of(rule)}"),
        (rule.iif, f"iif {rule.iif}"),
        (rule.oif, f"oif {rule.oif}"),
        (rule.uids, _range("uidrange", rule.uids)),
        (rule.protocol, f"ipproto {ROUTED.get(rule.protocol or 0) or rule.protocol}"),
        (rule.sports, _range("sport", rule.sports)),
        (rule.dports, _range("dport", rule.dports)),
    )
    return tuple(text for said, text in words if said)


def mark_of(rule: PolicyRule) -> str:
    """The mark that a rule asks for, with its mask: "0x80000/0xff0000"."""
    mask = "" if rule.mask == 0xFFFFFFFF else f"/{rule.mask:#x}"
    return f"{rule.mark:#x}{mask}"


def _range(word: str, bounds: tuple[int, int] | None) -> str:
    return "{} {}-{}".format(word, *bounds) if bounds else ""


def _action(rule: PolicyRule) -> str:
    if rule.l3mdev:
        return "lookup [l3mdev-table]"
    if rule.action == "lookup" and rule.table is not None:
        names = {fib.LOCAL: "local", fib.MAIN: "main", fib.DEFAULT: "default"}
        longer = (
            "" if rule.suppress_prefixlen is None else f" suppress_prefixlength {rule.suppress_prefixlen}"
        )
        return f"lookup {names.get(rule.table, rule.table)}{longer}"
    return f"goto {rule.goto}" if rule.goto is not None else rule.action


def route_object(namespace: Namespace, decision: FibResult) -> Object | None:
    """The route taken, as an object."""
    if decision.route is None:
        return None
    link = namespace.link(decision.index)
    text = fib.describe(decision.route, decision.leg, link)
    return Object("route", text, text)
