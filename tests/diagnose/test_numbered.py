"""Stations that have the same number in both families: what one of them lacks in one, the other tells."""

from __future__ import annotations

import pytest
from networks import edited, local, tutorial
from test_beside import kernel, lines
from test_repair import lost_in

from netprobe.diagnose.repair import choice
from netprobe.model import InterfaceAddress, Snapshot, Stop

_SEGMENT = {"host": ("docker0", 5), "c1": ("eth0", 2), "c2": ("eth0", 2)}


def numbered(lacks: int, **numbers: tuple[str, str]) -> Snapshot:
    """docker0's segment with these numbers, as they are written, of IPv4 and of IPv6; c1 lacks one of the families."""
    snapshot = tutorial()
    for name, (fourth, last) in numbers.items():
        _, index = _SEGMENT[name]
        namespace = snapshot[name]
        own = {4: InterfaceAddress(index, f"172.17.0.{fourth}", 16), 6: InterfaceAddress(index, f"fd00:17::{last}", 64)}
        networks = {4: "172.17.0.0/16", 6: "fd00:17::/64"}
        has = [version for version in own if name != "c1" or version != lacks]
        others = tuple(each for each in namespace.addresses if each.index != index)
        ways = tuple(each for each in namespace.routes if not each.dst.startswith("172.17.") and not (name == "c1" and each.is_default))
        made = tuple(kernel(networks[version], index) for version in has)
        mine = tuple(local(own[version].address)[-1] for version in has)
        snapshot = edited(snapshot, name, addresses=(*others, *(own[version] for version in has)), routes=(*mine, *ways, *made))
    return snapshot


def chosen(snapshot: Snapshot, dst: str) -> Stop:
    lost = lost_in(snapshot, "c1", dst)
    assert lost.stop is not None
    return choice.choose(snapshot, lost, lost.stop).stop


ONE, THREE = ("1", "1"), ("3", "3")


@pytest.mark.parametrize(
    ("numbers", "lacks", "fix"),
    [
        ({"host": ONE, "c2": THREE, "c1": ("2", "2")}, 4, "ip address add 172.17.0.2/16 dev eth0"),
        ({"host": ONE, "c2": THREE, "c1": ("2", "2")}, 6, "ip address add fd00:17::2/64 dev eth0"),
        # fd00:17::13 is written like 172.17.0.13, though it is 19
        ({"host": ONE, "c2": ("13", "13"), "c1": ("12", "12")}, 4, "ip address add 172.17.0.12/16 dev eth0"),
        ({"host": ONE, "c2": ("13", "13"), "c1": ("12", "12")}, 6, "ip address add fd00:17::12/64 dev eth0"),
        ({"host": ONE, "c2": ("19", "13"), "c1": ("18", "12")}, 4, "ip address add 172.17.0.18/16 dev eth0"),
        # 14 or 20: those beside have numbers of one digit
        ({"host": ONE, "c2": THREE, "c1": ("14", "14")}, 4, "ip address add ADDRESS/16 dev eth0"),
        ({"host": ONE, "c2": THREE, "c1": ("14", "14")}, 6, "ip address add ADDRESS/64 dev eth0"),
        ({"host": ONE, "c2": THREE, "c1": ("26", "1a")}, 4, "ip address add 172.17.0.26/16 dev eth0"),
        # those beside have other numbers, the number is another's, or no number of a network of that length
        ({"host": ONE, "c2": ("4", "3"), "c1": ("2", "2")}, 4, "ip address add ADDRESS/16 dev eth0"),
        ({"host": ONE, "c2": THREE, "c1": ("3", "3")}, 4, "ip address add ADDRESS/16 dev eth0"),
        ({"host": ONE, "c2": THREE, "c1": ("2", "42:acff:fe11:2")}, 4, "ip address add ADDRESS/16 dev eth0"),
    ],
)
def test_an_address_is_missing_in_one_family(numbers: dict[str, tuple[str, str]], lacks: int, fix: str) -> None:
    target = {4: f"172.17.0.{numbers['c2'][0]}", 6: f"fd00:17::{numbers['c2'][1]}"}[lacks]
    stop = chosen(numbered(lacks, **numbers), target)
    assert (stop.code, stop.place.namespace, lines(stop)[0]) == ("addr-missing", "c1", fix)


def test_one_station_beside_may_be_an_accident() -> None:
    stop = chosen(numbered(4, c2=THREE, c1=("2", "2")), "172.17.0.3")
    assert lines(stop) == ["ip address add ADDRESS/16 dev eth0"]
