"""Where a host is at the network between the hosts: by which of its interfaces it takes up what comes from
there for an address or a MAC of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

from msgspec import Struct

from .link import Link
from .lookup import among, where
from .namespace import Namespace
from .pattern import pattern

# what has a cable of which no kernel tells the other end; "" is hardware
SEVERAL = ("bond", "team")  # cables as one
CABLES = ("", *SEVERAL)
# whose addresses a host is asked for by way of another interface
_INSIDE = ("loopback", "dummy", "bridge")

IsLoose = Callable[[Link], bool]
"""Whether the other end of a veth cannot be seen."""


class Uplinks(Struct, frozen=True, gc=False):
    """The interfaces of a host, whose own namespace this is, that lead to where nobody sees."""

    namespace: Namespace
    is_loose: IsLoose

    def of(self, sought: str) -> tuple[Link, ...]:
        """Those by which it takes up what is for an address or a MAC; none where it does not have it."""
        return self._of_mac(sought) if is_mac(sought) else self._of_address(sought)

    def _of_mac(self, mac: str) -> tuple[Link, ...]:
        return self._below_all(where(self.namespace.links, mac=mac))

    def _of_address(self, address: str) -> tuple[Link, ...]:
        """Of an address that is on no interface towards others the first one: by which of them that comes,
        routers decide that nobody sees.
        """
        carrying = tuple(filter(None, [self.namespace.owner_of(address)]))
        inside = self.all()[:1] if among(carrying, kind=_INSIDE) else ()
        return self._below_all(carrying) or inside

    def all(self) -> tuple[Link, ...]:
        """All that are switched on; veths only where there is nothing else."""
        up = where(self.namespace.links, up=True)
        return self._below_all(among(up, kind=CABLES)) or self._below_all(where(up, kind="veth"))

    def _below_all(self, links: Iterable[Link]) -> tuple[Link, ...]:
        return tuple(dict.fromkeys(chain.from_iterable(map(self.below, links))))

    def below(self, link: Link) -> tuple[Link, ...]:
        """Those that an interface stands on; itself where it is one."""
        return _BELOW.get(link.kind, Uplinks._nothing)(self, link)

    def _lower(self, link: Link) -> tuple[Link, ...]:
        """Of a device that stands on one of the same namespace."""
        lower = where(filter(None, [link.link]), nsid=None)
        return self._below_all(filter(None, (self.namespace.link(each.index) for each in lower)))

    def _ports(self, bridge: Link) -> tuple[Link, ...]:
        """Of a bridge: its cables, or what stands on one."""
        ports = self.namespace.ports(bridge)
        return self._below_all(among(ports, kind=(*CABLES, *_STANDING)) or where(ports, kind="veth"))

    def _veth(self, link: Link) -> tuple[Link, ...]:
        """A veth is one where its other end cannot be seen."""
        return self._itself(link) if self.is_loose(link) else ()

    def _itself(self, link: Link) -> tuple[Link, ...]:
        """Of a cable; of one of several that are used as one, these."""
        masters = filter(None, [self.namespace.link(link.master)])
        return among(masters, kind=SEVERAL) or (link,)

    def _nothing(self, _: Link) -> tuple[Link, ...]:
        """What leads nowhere: an address on it is taken up elsewhere."""
        return ()


_STANDING = ("vlan", "macvlan", "ipvlan", "macsec")
_BELOW = {
    **dict.fromkeys(_STANDING, Uplinks._lower),
    **dict.fromkeys(CABLES, Uplinks._itself),
    "bridge": Uplinks._ports,
    "veth": Uplinks._veth,
}
_MAC = pattern("[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def is_mac(sought: str) -> bool:
    """Whether it is a MAC address as the kernel's tools write one, and no IP address."""
    return _MAC.fullmatch(sought) is not None
