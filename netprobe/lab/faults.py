"""Named faults of the tutorial's network: what breaks, how to see it, and what netprobe should then say."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from netprobe.errors import CannotLook, WrongQuestion

from .changes import Change, DropForwarded, RemoveDefaultRoute, SetSysctl, StopMasquerading, Unplug


@dataclass(frozen=True, slots=True)
class Expected:
    """The right diagnosis: a code of the catalogue, where (`interface` None: the whole namespace), on which way of the packet."""

    code: str
    namespace: str
    interface: str | None
    direction: Literal["request", "reply"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that can be broken. `probe` is the netprobe command that shows it, without the word netprobe."""

    name: str
    title: str
    probe: tuple[str, ...]
    change: Change
    expected: Expected

    def inject(self) -> None:
        """Break it, and read back that it is broken. Raises CannotLook when it was before, or is not afterwards."""
        if self.change.holds():
            raise CannotLook(f"{self.name} is in place already")
        self.change.apply()
        if not self.change.holds():
            raise CannotLook(f"{self.name} could not be injected: this kernel accepted it and did nothing")

    def verify(self) -> bool:
        """Read back whether it is broken now."""
        return self.change.holds()


_TO_THE_INTERNET = ("trace", "red", "8.8.8.8")

FAULTS = (
    Fault(
        "no-masquerade",
        "the host no longer translates: 10.0.0.2 leaves as it is, and nobody knows the way back",
        _TO_THE_INTERNET,
        StopMasquerading("host"),
        Expected("nat-missing", "host", "eth0", "reply"),
    ),
    Fault(
        "ip-forward-off",
        "the host is no router any more: net.ipv4.ip_forward=0",
        _TO_THE_INTERNET,
        SetSysctl("host", "net.ipv4.ip_forward", "0"),
        Expected("forwarding-off", "host", None, "request"),
    ),
    Fault(
        "veth-out-of-bridge",
        "veth0 is no port of br0 any more: requests still get out, replies do not come back in",
        _TO_THE_INTERNET,
        Unplug("host", "veth0"),
        Expected("port-not-in-bridge", "host", "veth0", "reply"),
    ),
    Fault(
        "no-default-route",
        "red has lost its default route",
        _TO_THE_INTERNET,
        RemoveDefaultRoute("red"),
        Expected("no-route", "red", None, "request"),
    ),
    Fault(
        "forward-drop",
        "a rule of the host drops what goes from br0 to eth0",
        _TO_THE_INTERNET,
        DropForwarded("host", "br0", "eth0"),
        Expected("filtered-by-rule", "host", None, "request"),
    ),
    Fault(
        "c2-silent-to-arp",
        "c2 does not answer ARP for its own address: arp_ignore=8",
        ("arping", "c1", "c2"),
        SetSysctl("c2", "net.ipv4.conf.eth0.arp_ignore", "8"),
        Expected("arp-suppressed", "c2", "eth0", "request"),
    ),
)


def named(name: str) -> Fault:
    """The fault of that name. Raises WrongQuestion with the nearest names."""
    names = [fault.name for fault in FAULTS]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3) or names
        raise WrongQuestion(f"there is no fault named {name!r}", "one of: " + ", ".join(near))
    return FAULTS[names.index(name)]


def inject(name: str) -> None:
    """Break what the fault of that name breaks, verified."""
    named(name).inject()


def verify(name: str) -> bool:
    """Whether the fault of that name is in place."""
    return named(name).verify()
