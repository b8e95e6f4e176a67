"""Who answers in another's name: for what is behind another interface, or beside on the same segment, each by a setting of its own."""

from __future__ import annotations

import pytest
from networks import edited, probe, tutorial, via

from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


@pytest.mark.parametrize(
    ("setting", "asked", "silent_at"),
    [
        ("proxy_arp", "10.0.0.2", None),
        ("proxy_arp_pvlan", "10.0.0.2", "c1"),
        ("proxy_arp", "172.17.0.9", "c1"),
        ("proxy_arp_pvlan", "172.17.0.9", "host"),
    ],
)
def test_each_setting_is_for_its_own_side_of_a_router(setting: str, asked: str, silent_at: str | None) -> None:
    """arp_fwd_proxy and arp_fwd_pvlan: 10.0.0.2 is behind br0, 172.17.0.9 would be on docker0 itself."""
    host, c1 = tutorial()["host"], tutorial()["c1"]
    snapshot = edited(tutorial(), "c1", routes=(*c1.routes, via("10.0.0.0/16", None, 2)))
    snapshot = edited(snapshot, "host", sysctls={**host.sysctls, f"net.ipv4.conf.docker0.{setting}": "1"})
    found = predict(snapshot, probe("c1", asked), ask=False)
    assert isinstance(found, Prediction)
    assert (found.stop.place.namespace if found.stop else None) == silent_at
