"""Routes and policy rules: none, a wrong one, a dead one, one for somebody else."""

from __future__ import annotations

from netprobe.lab.changes import RemoveDefaultRoute

from .fault import Expected, Fault
from .steps import no_route, route, rule

_OUT = ("trace", "red", "8.8.8.8")

ROUTES = (
    Fault(
        "no-default-route",
        "red has lost its default route",
        _OUT,
        (RemoveDefaultRoute("red"),),
        Expected("no-route", "red", None, "request", "8.8.8.8"),
    ),
    Fault(
        "host-no-default-route",
        "the host has lost its default route",
        _OUT,
        (no_route("host", "default"),),
        Expected("no-route", "host", None, "request", "8.8.8.8"),
    ),
    Fault(
        "blackholed",
        "a blackhole route of an address plan swallows 8.8.0.0/16 in the host",
        _OUT,
        (route("host", "blackhole 8.8.0.0/16"),),
        Expected("route-blackhole", "host", None, "request", "blackhole 8.8.0.0/16"),
    ),
    Fault(
        "rule-prohibits",
        "a policy rule of the host prohibits what comes from red's network",
        _OUT,
        (rule("host", "pref 100 from 10.0.0.0/16 prohibit"),),
        Expected("rule-prohibit", "host", None, "request", "100: from 10.0.0.0/16 prohibit"),
    ),
)
