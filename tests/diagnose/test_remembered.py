"""What connections that were answered tell of a router: how its packets are meant to leave."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import edited, probe, tutorial
from test_beside import chosen

from netprobe.diagnose.repair import choice
from netprobe.model import AskConnection, ConntrackEntry, Flow, FoundConnection, Protocol, Snapshot
from netprobe.model.engines import ContainerEngines
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

PING = Flow("10.0.0.2", "8.8.8.8", Protocol.ICMP)
ANSWERED, UNANSWERED = ("seen_reply", "confirmed"), ("confirmed",)


def without_translation() -> Snapshot:
    """Nothing is translated any more, and internet knows no way back to red."""
    internet = tutorial()["internet"]
    snapshot = edited(tutorial(), "internet", routes=tuple(each for each in internet.routes if None in each.gateways))
    return edited(snapshot, "host", ruleset=iptables("*nat\n:POSTROUTING ACCEPT [0:0]\nCOMMIT"))


def remembering(snapshot: Snapshot, *entries: ConntrackEntry) -> Snapshot:
    return replace(snapshot, connections=(FoundConnection("host", PING, entries),))


def connection(source: str, status: tuple[str, ...]) -> ConntrackEntry:
    return ConntrackEntry("icmp", ("10.0.0.2", "8.8.8.8", 7, None), ("8.8.8.8", source, 7, None), status=status)


PLAIN, MASKED = connection("10.0.0.2", ANSWERED), connection("203.0.113.2", ANSWERED)


@pytest.mark.parametrize(
    ("entries", "code", "namespace"),
    [
        ((PLAIN,), "no-route", "internet"),
        ((MASKED,), "nat-missing", "host"),
        ((), "nat-missing", "host"),
        # no answer proves nothing, and neither do answers of both kinds
        ((connection("10.0.0.2", UNANSWERED),), "nat-missing", "host"),
        ((PLAIN, MASKED), "nat-missing", "host"),
    ],
)
def test_packets_that_were_answered_untranslated_lack_a_way_back(entries: tuple[ConntrackEntry, ...], code: str, namespace: str) -> None:
    stop = chosen(remembering(without_translation(), *entries), "red", "8.8.8.8")
    assert (stop.code, stop.place.namespace) == (code, namespace)


def test_the_connections_are_asked_for() -> None:
    snapshot = replace(without_translation(), engines=ContainerEngines())
    outcome = predict(snapshot, probe("red", "8.8.8.8"), ask=False)
    assert isinstance(outcome, Prediction)
    assert AskConnection("host", PING) in choice.lacking(snapshot, outcome)
