"""A ping that stands for what passes beside the probe. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Endpoint, Probe, Protocol
from netprobe.predict import prefix


def ping(probe: Probe, name: str, address: str, source: str | None = None) -> Probe:
    """A ping from a namespace to an address, of whatever IP version: as anybody's, however the probe was
    asked for.
    """
    protocol = Protocol.ICMPV6 if prefix.version(address) == 6 else Protocol.ICMP
    ends = {"source": Endpoint(name, name, address=source), "destination": Endpoint(address, address=address)}
    bare = replace(probe, **ends, protocol=protocol)
    bare = replace(bare, source_port=None, reused=False, mark=0, uid=0, device=None)
    return replace(bare, count=1, size=56, ttl=None, df=None)
