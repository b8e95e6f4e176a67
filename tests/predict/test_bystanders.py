"""Floods of a large bridge: whose stations a frame does not concern are not read, and what nobody could look at is no "nobody"."""

from __future__ import annotations

from msgspec.structs import replace
from predict.networks import edited, port, probe, tutorial

from netprobe.model import End, LookBehind, ReadNamespace, SeenBehind, Snapshot
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

COUNT = 40


def crowded(*behind: SeenBehind) -> Snapshot:
    """The tutorial's network with 40 ports more on red's bridge, and what was seen behind them."""
    snapshot = tutorial()
    host = snapshot["host"]
    more = tuple(port(100 + n, f"more{n}", 2, 100 + n, 2) for n in range(COUNT))
    return replace(edited(snapshot, "host", links=(*host.links, *more)), behind=behind)


def plain(n: int, *own: str) -> SeenBehind:
    return SeenBehind("host", 100 + n, 2, plain=True, mac=f"06:00:00:00:77:{n:02x}", own=own or (f"10.0.1.{n}",))


def asked(snapshot: Snapshot, address: str) -> object:
    return predict(snapshot, probe("red", address), ask=False)


def test_all_ports_are_looked_behind_at_once() -> None:
    needs = asked(crowded(), "10.0.7.7")
    assert isinstance(needs, tuple)
    assert {need for need in needs if isinstance(need, LookBehind)} == {LookBehind("host", 100 + n, 2) for n in range(COUNT)}


def test_the_one_that_has_the_address_is_read_and_no_other() -> None:
    needs = asked(crowded(*map(plain, range(COUNT))), "10.0.1.7")
    assert isinstance(needs, tuple)
    assert {getattr(need, "nsid", None) for need in needs if not isinstance(need, ReadNamespace)} == {107}


def test_a_prefix_that_is_local_there_counts() -> None:
    stations = [plain(n) if n != 9 else plain(n, "10.0.9.0/24") for n in range(COUNT)]
    needs = asked(crowded(*stations), "10.0.9.200")
    assert isinstance(needs, tuple)
    assert {getattr(need, "nsid", None) for need in needs} == {109}


def test_where_nobody_could_look_nobody_knows() -> None:
    unseen = [replace(plain(n), plain=False, why="not read in time") for n in range(COUNT)]
    outcome = asked(crowded(*unseen), "10.0.7.7")
    assert isinstance(outcome, Prediction)
    assert outcome.request.end is End.UNDETERMINED
