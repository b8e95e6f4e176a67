"""A stack that limits what it answers to pings: `icmp_ratemask` and `icmp_ratelimit` (net/ipv4/icmp.c)."""

from __future__ import annotations

import pytest
from networks import edited, probe, tutorial

from netprobe.diagnose.apply import mend
from netprobe.model import Cause, Protocol, Snapshot, Stop
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


def limited(snapshot: Snapshot, protocol: Protocol = Protocol.ICMP) -> list[Stop]:
    found = predict(snapshot, probe("red", "8.8.8.8", protocol), ask=False)
    assert isinstance(found, Prediction)
    hops = () if found.reply is None else found.reply.hops
    return [each for hop in hops for each in hop.suspects if each.code == "rate-limited"]


@pytest.mark.parametrize(
    ("mask", "limit", "is_limited"), [("6168", "1000", False), ("88089", "1000", True), ("88089", "0", False), ("88088", "1000", False)]
)
def test_echo_replies_are_limited_where_the_mask_has_them(mask: str, limit: str, is_limited: bool) -> None:
    sysctls = tutorial()["internet"].sysctls
    set_so = {**sysctls, "net.ipv4.icmp_ratemask": mask, "net.ipv4.icmp_ratelimit": limit}
    snapshot = edited(tutorial(), "internet", sysctls=set_so)
    stops = limited(snapshot)
    assert bool(stops) is is_limited
    for stop in stops[:1]:
        mended = mend(snapshot, Cause(stop.code, stop.place, "", commands=stop.commands))
        assert mended is not None
        assert limited(mended) == []
        assert mended["internet"].sysctl("net.ipv4.icmp_ratemask") == "88088"
