"""From the values of a topology to real namespaces, links, addresses and routes, by netlink.

Only inside `private.run`.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from netprobe.errors import CannotLook

from . import firewall, namespaces, services
from .namespaces import HOST, entered
from .topology import (
    Interface,
    LabBridge,
    LabFdbEntry,
    LabMacvlan,
    LabNeighbour,
    LabPolicyRule,
    LabRoute,
    LabVxlan,
    Link,
    Topology,
    Veth,
)

# A new namespace copies some settings from the machine (net.core.devconf_inherit_init_net): a lab starts the
# same everywhere.
_START = (
    ("net.ipv4.ip_forward", "0"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    ("net.ipv4.conf.all.arp_ignore", "0"),
    ("net.ipv4.conf.default.arp_ignore", "0"),
    ("net.ipv4.icmp_ratelimit", "0"),  # or the seventh unreachable port within a second is silent
    ("net.ipv6.conf.all.disable_ipv6", "0"),
    ("net.ipv6.conf.default.disable_ipv6", "0"),
    ("net.ipv6.conf.all.accept_dad", "0"),  # or a link-local address is unusable for its first two seconds
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.icmp.ratelimit", "0"),
    ("net.bridge.bridge-nf-call-iptables", "0"),
    ("net.bridge.bridge-nf-call-ip6tables", "0"),
    ("net.bridge.bridge-nf-call-arptables", "0"),
)

_IFA_F_NODAD, _IFA_F_DADFAILED, _IFA_F_TENTATIVE = 0x02, 0x08, 0x40  # linux/if_addr.h
_NTF_SELF, _NTF_MASTER = 0x02, 0x04  # linux/neighbour.h
_NUD_PERMANENT = 0x80
_RTPROT_BOOT = 3  # what `ip route add` leaves, linux/rtnetlink.h
_RT_SCOPE_LINK = 253
_IFF_LOWER_UP, _ARPHRD_ETHER = 0x10000, 1  # linux/if.h, linux/if_arp.h
_IPV6_MTU = 1280
_PATIENCE, _PAUSE = 3.0, 0.01  # seconds


def build(topology: Topology, engine: firewall.FirewallTool | None = None) -> None:
    """Make `topology` real; when this returns its services answer.

    `engine` forces nft or iptables for its masquerading.

    Raises NotPermitted or CannotLook when a tool or a kernel feature is missing. A half-built lab ends with
    its world.
    """
    if not Path("/proc/sys/net/ipv6").exists():
        topology = topology.without_ipv6()
    every = (HOST, *topology.namespaces)
    for name in topology.namespaces:
        namespaces.create(name)
    for name in every:
        _start_settings(name)
    _set_sysctls(topology, before_links=True)
    for name in every:
        with talk(name) as conversation:
            conversation.link("set", index=index(conversation, "lo"), state="up")
    with _talks(topology.inhabited()) as talks:
        for link in sorted(topology.links, key=lambda link: not isinstance(link, LabBridge)):
            _add_link(talks, link)
        for interface in topology.loopback:
            _set(talks, interface)
        _set_sysctls(topology, before_links=False)
        _add_entries(talks, topology)
        for conversation in talks.values():
            _wait_for_ipv6(conversation)
    firewall.translate(topology.masquerade, engine)
    for rules in topology.rules:
        firewall.load(rules)
    services.start(topology)


def _start_settings(namespace: str) -> None:
    for name, value in _START:
        # not every kernel has all of them in every namespace
        with suppress(FileNotFoundError, PermissionError):
            namespaces.write_sysctl(namespace, name, value)


def _set_sysctls(topology: Topology, before_links: bool) -> None:
    """Settings of `default` count for links made later, all others may name a link."""
    for sysctl in topology.sysctls:
        if (".default." in sysctl.name) is before_links:
            namespaces.write_sysctl(sysctl.namespace, sysctl.name, sysctl.value)


@contextmanager
def talk(namespace: str) -> Iterator[Any]:
    """A netlink conversation with one namespace (pyroute2's IPRoute, made inside it: 1 ms, and no name is
    ever created).
    """
    from pyroute2 import IPRoute  # a quarter of a second, which `netprobe demo --list` need not wait for

    with entered(namespace):
        conversation = IPRoute()
    try:
        yield conversation
    finally:
        conversation.close()


@contextmanager
def _talks(names: frozenset[str]) -> Iterator[dict[str, Any]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(talk(name)) for name in names}


def index(conversation: Any, name: str) -> int:
    """The number of an interface. Raises KeyError when there is none of this name."""
    found = conversation.link_lookup(ifname=name)
    if not found:
        raise KeyError(name)
    return int(found[0])


def _add_link(talks: dict[str, Any], link: Link) -> None:
    from pyroute2.netlink.exceptions import NetlinkError

    near = link.near
    made_in = link.parent_namespace if isinstance(link, LabMacvlan) else near.namespace
    with open(namespaces.path(near.namespace), "rb") as target:
        kind = _kind(talks, link)
        try:
            talks[made_in].link(
                "add", ifname=near.name, net_ns_fd=target.fileno(), **kind, **_given(address=near.mac)
            )
        except NetlinkError as error:
            if error.code == errno.EOPNOTSUPP:
                raise CannotLook(
                    f"this kernel has no {kind['kind']} interfaces", f"sudo modprobe {kind['kind']}"
                ) from None
            raise
    _set(talks, near)
    if isinstance(link, Veth):
        _set(talks, link.far)


def _kind(talks: dict[str, Any], link: Link) -> dict[str, Any]:
    """The part of a link's request that is its kind's own."""
    match link:
        case Veth(far=far):
            return {
                "kind": "veth",
                "peer": {
                    "ifname": far.name,
                    "net_ns_fd": namespaces.path(far.namespace),
                    **_given(address=far.mac),
                },
            }
        case LabBridge(stp=stp):
            return {"kind": "bridge", "br_stp_state": int(stp), **({} if stp else {"br_forward_delay": 0})}
        case LabMacvlan(parent=parent, parent_namespace=namespace, mode=mode):
            return {"kind": "macvlan", "macvlan_mode": mode, "link": index(talks[namespace], parent)}
        case LabVxlan():
            underlay = index(talks[link.near.namespace], link.underlay) if link.underlay else None
            return {
                "kind": "vxlan", "vxlan_id": link.vni, "vxlan_local": link.local, "vxlan_port": link.port,
                "vxlan_learning": int(link.learning), **_given(vxlan_group=link.remote, vxlan_link=underlay),
            }  # fmt: skip
        case _:
            return {"kind": "dummy"}


def _set(talks: dict[str, Any], interface: Interface) -> None:
    """Plug an interface into its bridge, size it, bring it up and address it."""
    conversation = talks[interface.namespace]
    number = index(conversation, interface.name)
    master = index(conversation, interface.master) if interface.master else None
    state = "up" if interface.up else "down"
    conversation.link("set", index=number, state=state, **_given(master=master, mtu=interface.mtu))
    for text in interface.addresses:
        address, _, length = text.partition("/")
        nodad = {"flags": _IFA_F_NODAD} if ":" in address else {}
        conversation.addr("add", index=number, address=address, prefixlen=int(length), **nodad)


def _wait_for_ipv6(conversation: Any) -> None:
    """Until every interface that runs has a link-local address that may be used: a router without one asks
    nobody. The kernel makes and tries them in queues of its own, up to a second late (linkwatch_event,
    addrconf_dad_work).
    """
    end = monotonic() + _PATIENCE
    wanted = {link["index"] for link in conversation.get_links() if _gets_a_link_local(link)}
    while wanted and monotonic() < end:
        found = conversation.get_addr(family=socket.AF_INET6, scope=_RT_SCOPE_LINK)
        wanted -= {each["index"] for each in found if not each["flags"] & _IFA_F_TENTATIVE}
        wanted -= {each["index"] for each in found if each["flags"] & _IFA_F_DADFAILED}
        sleep(_PAUSE if wanted else 0)


def _gets_a_link_local(link: Any) -> bool:
    """Whether the kernel makes an interface a link-local address of its MAC, once it runs
    (addrconf_dev_config).
    """
    six = link.get_nested("IFLA_AF_SPEC", "AF_INET6")
    if six is None or not link["flags"] & _IFF_LOWER_UP or link.get_attr("IFLA_MTU") < _IPV6_MTU:
        return False
    settings = six.get_attr("IFLA_INET6_CONF")
    return link["ifi_type"] == _ARPHRD_ETHER and settings is not None and not settings["disable_ipv6"]


def _add_entries(talks: dict[str, Any], topology: Topology) -> None:
    for route in topology.routes:
        add_route(talks[route.namespace], route)
    for rule in topology.policy:
        _add_rule(talks[rule.namespace], rule)
    for neighbour in topology.neighbours:
        _add_neighbour(talks[neighbour.namespace], neighbour)
    for entry in topology.fdb:
        _add_fdb(talks[entry.namespace], entry)


def add_route(conversation: Any, route: LabRoute) -> None:
    """Add one route, as `ip route add` does."""
    scope = _RT_SCOPE_LINK if route.via is None and route.kind == "unicast" and route.version == 4 else None
    conversation.route(
        "add", family=_family(route.version), dst=route.destination, type=route.kind, table=route.table,
        proto=_RTPROT_BOOT,
        **({"flags": ["onlink"]} if route.onlink else {}),
        **({"metrics": {"mtu": route.mtu}} if route.mtu else {}),
        **_given(
            gateway=route.via, oif=index(conversation, route.device) if route.device else None,
            prefsrc=route.source, priority=route.metric, scope=scope,
        ),
    )  # fmt: skip


def _add_rule(conversation: Any, rule: LabPolicyRule) -> None:
    conversation.rule(
        "add", family=_family(rule.version), priority=rule.priority, table=rule.table,
        **_given(src=rule.source, dst=rule.destination, fwmark=rule.mark, iifname=rule.incoming),
    )  # fmt: skip


def _add_neighbour(conversation: Any, entry: LabNeighbour) -> None:
    conversation.neigh(
        "replace", dst=entry.address, lladdr=entry.mac, ifindex=index(conversation, entry.device),
        state=_NUD_PERMANENT,
        family=_family(6 if ":" in entry.address else 4),
    )  # fmt: skip


def _add_fdb(conversation: Any, entry: LabFdbEntry) -> None:
    flags = _NTF_SELF if entry.remote else _NTF_MASTER
    conversation.fdb(
        "append" if entry.remote else "add", ifindex=index(conversation, entry.device), lladdr=entry.mac,
        flags=flags,
        state=_NUD_PERMANENT, **_given(dst=entry.remote),
    )  # fmt: skip


def _family(version: int) -> int:
    return socket.AF_INET6 if version == 6 else socket.AF_INET


def _given(**values: Any) -> dict[str, Any]:
    """Only those that are given: netlink has no word for None."""
    return {name: value for name, value in values.items() if value is not None}
