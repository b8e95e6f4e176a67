"""A neighbour entry with the address of a group: everybody hears the frame, no router hands it on, and TCP does not take it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, probe, tutorial
from test_beside import chosen, lines

from netprobe.model import Neighbour, Protocol
from netprobe.predict.predict import Prediction, predict

EVERYBODY, GROUP = "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"


@pytest.mark.parametrize("mac", [EVERYBODY, GROUP])
def test_a_router_does_not_forward_it(mac: str) -> None:
    snapshot = edited(tutorial(), "red", neighbours=(Neighbour(2, "10.0.0.1", mac, "permanent"),))
    cause = chosen(snapshot, "red", "8.8.8.8")
    assert (cause.code, lines(cause)) == ("neigh-wrong-entry", ["ip neigh del 10.0.0.1 dev eth0"])


@pytest.mark.parametrize(("protocol", "code"), [(Protocol.TCP, "neigh-wrong-entry"), (Protocol.UDP, None), (Protocol.ICMP, None)])
def test_a_station_takes_no_tcp_from_it(protocol: Protocol, code: str | None) -> None:
    snapshot = edited(tutorial(), "c1", neighbours=(Neighbour(2, "172.17.0.3", EVERYBODY, "permanent"),))
    asked = probe("c1", "172.17.0.3", protocol)
    port = None if protocol is Protocol.ICMP else 80
    outcome = predict(snapshot, replace(asked, destination=replace(asked.destination, port=port)), ask=False)
    assert isinstance(outcome, Prediction)
    codes = [hop_end.code for hop_end in filter(None, [outcome.request.stop]) if hop_end.code != "port-closed"]
    assert codes == ([code] if code else [])
