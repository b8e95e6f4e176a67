"""Ends of a way: how a walk says that an interface stops the packet."""

from __future__ import annotations

from netprobe.model import Link, Object, Place, Stage, Stop

from .fixes import BRIDGE, Fix, link_set


def lost(code: str, namespace: str, link: Link | None, stage: Stage, text: str, *, object: Object | None = None,
         fix: Fix = ()) -> Stop:  # fmt: skip
    """The end of a way at an interface."""
    return Stop(code, Place(namespace, link.name if link else None, stage), text, object, fix)


def link_object(link: Link) -> Object:
    """The interface as an object, with ip-link(8)'s flags."""
    flags = ",".join(
        f for f, on in (("NO-CARRIER", link.up and not link.carrier), ("UP", link.up), ("LOWER_UP", link.carrier and link.up)) if on
    )
    return Object("link", link.name, f"{link.index}: {link.name}: <{flags}> mtu {link.mtu} link/{link.kind or 'ether'} {link.mac}")


def link_down(name: str, link: Link, stage: Stage) -> Stop:
    """An interface that is administratively down."""
    return lost(
        "link-admin-down",
        name,
        link,
        stage,
        f"{link.name} in {name} is down",
        object=link_object(link),
        fix=(link_set(link, "up"),),
    )


def not_in_bridge(name: str, port: Link, text: str) -> Stop:
    """A veth (or tunnel) end that should be a bridge port and is none."""
    return lost("port-not-in-bridge", name, port, Stage.BRIDGE, text, object=Object("link", port.name, f"{port.name} has no master"),
                fix=(link_set(port, "master", BRIDGE),))  # fmt: skip


def isolated(name: str, link: Link, text: str) -> Stop:
    """A macvlan that its siblings on the same parent cannot reach (macvlan_queue_xmit)."""
    mode = Object("link", link.name, f"{link.name} macvlan mode {link.macvlan_mode}")
    fix = link_set(link, "type", "macvlan", "mode", "bridge")
    return lost("macvlan-mode-isolated", name, link, Stage.TRANSMIT, text, object=mode, fix=(fix,))
