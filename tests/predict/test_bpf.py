"""What comes of the answers of programs on an interface: certain losses, suspects, or nothing."""

from __future__ import annotations

import pytest

from netprobe.model import Link, Namespace, Qdisc, TcFilter
from netprobe.predict import bpf
from netprobe.predict.bpf import Judged

Answers = tuple[str, ...] | None
ON, OVER = ("continue",), ()
PASS, DROP, EITHER = ("pass",), ("drop",), ("drop", "pass")


def weighed(judged: Judged) -> str | int:
    """ "lost", or how many suspects there are."""
    return "lost" if judged.stop is not None else len(judged.suspects)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [(DROP, "lost"), (PASS, 0), (EITHER, 1), (None, 1), (("tx",), 1), (("redirect",), 1), (("pass", "tx"), 1)],
)
def test_xdp(answers: Answers, expected: str | int) -> None:
    link = Link(2, "eth0", xdp="xdpgeneric id 5", xdp_answers=answers)
    judged = bpf.xdp("n", link)
    assert weighed(judged) == expected
    stops = (*filter(None, [judged.stop]), *judged.suspects)
    assert {(stop.code, str(stop.fix[0])) for stop in stops} <= {("filtered-by-xdp", "ip link set dev eth0 xdpgeneric off")}
    assert all(("drops every packet" if expected == "lost" else "may drop") in stop.text for stop in stops)
    assert bpf.xdp("n", Link(2, "eth0")) == Judged()


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([], 0),
        ([None], 1),
        ([PASS], 0),
        ([DROP], "lost"),
        ([EITHER], 1),
        ([ON, DROP], "lost"),
        ([ON, ON], 0),
        ([PASS, OVER], 0),
        ([DROP, OVER], "lost"),
        ([None, DROP], 2),  # the first one may let it pass
        ([("continue", "pass"), DROP], 1),
        ([("continue", "drop"), DROP], 2),
        ([("stolen",)], 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("side", ["ingress", "egress"])
def test_filters_behind_each_other(side: str, answers: list[Answers], expected: str | int) -> None:
    other = "egress" if side == "ingress" else "ingress"
    filters = (TcFilter(other, "bpf", "x", answers=DROP), *(TcFilter(side, "bpf", str(n), answers=a) for n, a in enumerate(answers)))
    link = Link(2, "eth0", filters=filters, qdiscs=(Qdisc("clsact", "ffff:", "clsact"),))
    judged = bpf.ingress(HERE, link) if side == "ingress" else bpf.egress(HERE, link)
    assert weighed(judged) == expected
    assert weighed(bpf.egress(HERE, link) if side == "ingress" else bpf.ingress(HERE, link)) == "lost"
    if judged.stop is not None:
        assert (judged.stop.code, str(judged.stop.fix[0])) == ("filtered-by-tc", f"tc filter del dev eth0 {side}")


HERE = Namespace("n")


def test_a_filter_that_diverts_is_said_to() -> None:
    link = Link(2, "eth0", filters=(TcFilter("ingress", "u32", "x", "mirred egress redirect", 7),))
    assert [stop.code for stop in bpf.ingress(HERE, link).suspects] == ["diverted-by-tc"]


@pytest.mark.parametrize(
    ("kind", "up", "codes"), [("ifb", True, []), ("ifb", False, ["link-admin-down"]), ("veth", False, ["link-admin-down"])]
)
def test_where_a_filter_diverts_to(kind: str, up: bool, codes: list[str]) -> None:
    """An intermediate device that runs gives the packet back; what is down loses it."""
    link = Link(2, "eth0", filters=(TcFilter("ingress", "u32", "x", "mirred egress redirect", 7),))
    found = bpf.ingress(Namespace("n", links=(link, Link(7, "ifb0", kind, up=up))), link)
    assert [stop.code for stop in found.suspects] == codes
