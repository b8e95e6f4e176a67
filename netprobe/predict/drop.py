"""Ends of a way: how a walk says that an interface stops the packet."""

from __future__ import annotations

from msgspec import Struct

from netprobe.model import End, Link, Object, Place, Stage, Stop

from .fixes import BRIDGE, Fix, link_set


class Finish(Struct, frozen=True, gc=False):
    """How a walk is over: where the packet got, and what stopped it if something did."""

    end: End
    stop: Stop | None = None


class Unread(Exception):
    """Raised by a look at something that could not be read.

    A walk that comes to it ends there, undetermined.
    """

    def __init__(self, namespace: str, what: str, why: str, stage: Stage) -> None:
        self.reason = unread(namespace, what, why, stage)
        super().__init__(self.reason)

    @property
    def finish(self) -> Finish:
        """The end of a walk that looked there."""
        return Finish(End.UNDETERMINED, self.reason)


def end_of(stop: Stop) -> End:
    """How a walk ends at `stop`: with a drop, or undetermined where it is not known what happens there."""
    return End.UNDETERMINED if stop.code == "unknown" else End.DROP


def unread(namespace: str, what: str, why: str, stage: Stage) -> Stop:
    """Something of a namespace that could not be read, as what may stop the packet."""
    return Stop("unknown", Place(namespace, None, stage), f"could not read the {what} of {namespace} ({why})")


def place_of(namespace: str, link: Link | None, stage: Stage) -> Place:
    """A place in a namespace, at an interface or at none."""
    return Place(namespace, link.name if link else None, stage)


def lost(
    code: str,
    namespace: str,
    link: Link | None,
    stage: Stage,
    text: str,
    *,
    object: Object | None = None,
    fix: Fix = (),
) -> Stop:
    """The end of a way at an interface."""
    return Stop(code, place_of(namespace, link, stage), text, object, fix)


def link_object(link: Link) -> Object:
    """The interface as an object, with ip-link(8)'s flags."""
    flags = ",".join(
        f
        for f, on in (
            ("NO-CARRIER", link.up and not link.carrier),
            ("UP", link.up),
            ("LOWER_UP", link.carrier and link.up),
        )
        if on
    )
    return Object(
        "link",
        link.name,
        f"{link.index}: {link.name}: <{flags}> mtu {link.mtu} link/{link.kind or 'ether'} {link.mac}",
    )


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
    return lost("port-not-in-bridge", name, port, Stage.BRIDGE, text,
        object=Object("link", port.name, f"{port.name} has no master"),
                fix=(link_set(port, "master", BRIDGE),))  # fmt: skip


def isolated(name: str, link: Link, text: str) -> Stop:
    """A macvlan that its siblings on the same parent cannot reach (macvlan_queue_xmit)."""
    mode = Object("link", link.name, f"{link.name} macvlan mode {link.macvlan_mode}")
    fix = link_set(link, "type", "macvlan", "mode", "bridge")
    return lost("macvlan-mode-isolated", name, link, Stage.TRANSMIT, text, object=mode, fix=(fix,))
