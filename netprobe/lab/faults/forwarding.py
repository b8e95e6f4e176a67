"""Forwarding and source checks: hosts that are no routers, or distrust where a packet comes from."""

from __future__ import annotations

from netprobe.lab.changes import SetSysctl

from .fault import Expected, Fault

_OUT = ("trace", "red", "8.8.8.8")

FORWARDING = (
    Fault(
        "ip-forward-off",
        "the host is no router any more: net.ipv4.ip_forward=0",
        _OUT,
        (SetSysctl("host", "net.ipv4.ip_forward", "0"),),
        Expected("forwarding-off", "host", None, "request", "net.ipv4.ip_forward"),
    ),
    Fault(
        "ip-forward-off-on-the-bridge",
        "forwarding is off for what comes in by br0 alone",
        _OUT,
        (SetSysctl("host", "net.ipv4.conf.br0.forwarding", "0"),),
        Expected("forwarding-off", "host", "br0", "request", "net.ipv4.conf.br0.forwarding"),
    ),
)
