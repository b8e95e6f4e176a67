"""Translation and connection tracking: missing, wrong, bypassed or stale."""

from __future__ import annotations

from netprobe.lab.changes import StopMasquerading

from .fault import Expected, Fault

_OUT = ("trace", "red", "8.8.8.8")

TRANSLATION = (
    Fault(
        "no-masquerade",
        "the host no longer translates: 10.0.0.2 leaves as it is, and nobody knows the way back",
        _OUT,
        (StopMasquerading("host"),),
        Expected("nat-missing", "host", "eth0", "reply"),
    ),
)
