"""A port with the very MAC of the station behind it: the bridge keeps frames for it that come in by another port, and
sends those of the host out of the port (br_handle_frame_finish, br_dev_xmit).
"""

from __future__ import annotations

from msgspec.structs import replace
from networks import edited, probe, tutorial

from netprobe.model import FdbEntry, Snapshot, Stop
from netprobe.predict.predict import Prediction, predict


def disguised() -> Snapshot:
    """c2's port of docker0 calls itself as c2 does."""
    network = tutorial()
    mac = next(link.mac for link in network["c2"].links if link.name == "eth0")
    links = tuple(replace(link, mac=mac) if link.name == "vethc2" else link for link in network["host"].links)
    port = next(link for link in links if link.name == "vethc2")
    entry = FdbEntry(port.index, mac, port.master, state="permanent", local=True)
    return edited(network, "host", links=links, fdb=(entry,))


def stop(source: str) -> Stop | None:
    found = predict(disguised(), probe(source, "172.17.0.3"), ask=False)
    assert isinstance(found, Prediction)
    return found.stop


def test_what_comes_from_another_port_is_kept() -> None:
    found = stop("c1")
    assert found is not None
    assert (found.code, found.commands[0].words[:3]) == ("fdb-wrong-entry", ("bridge", "fdb", "del"))


def test_what_the_host_sends_leaves_by_the_port() -> None:
    assert stop("host") is None
