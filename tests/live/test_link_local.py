"""Link-local destinations: an address says who, its zone says on which link (RFC 4007)."""

from __future__ import annotations

import json

import pytest
from asking import arping, ask, once, trace

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]


def link_local(lab: Lab, namespace: str, interface: str) -> str:
    """The link-local address of an interface."""
    found = json.loads(
        lab.run(["ip", "-j", "-6", "addr", "show", "dev", interface, "scope", "link"], namespace=namespace, check=True).stdout
    )
    return str(next(each["local"] for link in found if link for each in link["addr_info"] if "local" in each))


MORE = {"icmp": (), "udp": ("-p", "udp", "-P", "9"), "tcp": ("-P", "9"), "fragments": ("-s", "3000", "--no-df")}


@pytest.mark.parametrize("more", MORE.values(), ids=MORE)
def test_each_way_with_its_zone(lab: Lab, more: tuple[str, ...]) -> None:
    """Predicted and seen alike: also where the source has more than one interface, and where it answers."""
    for source, destination in (("red", f"{link_local(lab, 'host', 'br0')}%eth0"), ("host", f"{link_local(lab, 'red', 'eth0')}%br0")):
        report = trace(lab, source, destination, *more)
        assert report["agreement"] == "confirmed", report["summary"]
        assert report["verdict"] == ("reachable" if "-P" not in more else "unreachable")
        assert [cause["code"] for cause in report["causes"]] == ([] if "-P" not in more else ["port-closed"])


def test_the_only_interface_needs_no_zone(lab: Lab) -> None:
    report = trace(lab, "red", link_local(lab, "host", "br0"))
    assert (report["verdict"], report["probe"]["source"]["interface"]) == ("reachable", "eth0")


def test_a_number_is_a_zone(lab: Lab) -> None:
    index = json.loads(lab.run(["ip", "-j", "link", "show", "br0"], check=True).stdout)[0]["ifindex"]
    assert trace(lab, "host", f"{link_local(lab, 'red', 'eth0')}%{index}")["verdict"] == "reachable"


def test_of_several_interfaces_one_is_asked_for(lab: Lab) -> None:
    """Those that carry addresses: not the ports of a bridge, nor the loopback."""
    address = link_local(lab, "red", "eth0")
    for command in ("trace", "why", "arping"):
        done = ask(lab, command, "host", address)
        assert done.code == 2, done.told
        offered = done.stderr.partition("Write one of: ")[2].split()
        assert f"{address}%br0" in offered
        assert not {f"{address}%veth0", f"{address}%lo"} & set(offered)


def test_two_interfaces_are_one_too_many(lab: Lab) -> None:
    address = link_local(lab, "red", "eth0")
    for argv in (("host/br0", f"{address}%eth0"), (f"host@{link_local(lab, 'host', 'br0')}%br0", f"{address}%eth0")):
        assert ask(lab, "trace", *argv).code == 2


def test_asking_a_segment(lab: Lab) -> None:
    assert arping(lab, "host", f"{link_local(lab, 'red', 'eth0')}%br0")["agreement"] == "confirmed"


def test_nobody_there(lab: Lab) -> None:
    report = trace(lab, "host", "fe80::dead%br0", "-W", "300ms")
    assert (report["verdict"], report["causes"][0]["code"]) == ("unreachable", "neigh-no-answer")
    assert report["causes"][0]["place"]["interface"] == "br0"


def test_from_a_link_local_address(lab: Lab) -> None:
    own, other = link_local(lab, "red", "eth0"), link_local(lab, "host", "br0")
    for argv in ((f"red@{own}%eth0", other), ("red", other, "--source-address", f"{own}%eth0"), (f"red@{own}", f"{other}%eth0")):
        assert trace(lab, *argv)["agreement"] == "confirmed"
