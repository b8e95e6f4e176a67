"""Members of a matrix whose host says what no kernel says: a blind spot each, and the others are members."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from fleet.test_hostile_source import JUNK, SHORT, junk

from netprobe.errors import CannotLook
from netprobe.fleet.host import Host
from netprobe.linux import members
from netprobe.linux.machine import Machine
from netprobe.model import Blind, Endpoint
from netprobe.model.matrix import Member

RED, BLUE = Endpoint("h1:red", "h1:red"), Endpoint("h1:blue", "h1:blue")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host without a connection, in which each namespace says nonsense."""
    monkeypatch.setattr(Machine, "_handle", lambda *_: junk(SHORT))
    made = Host.__new__(Host)
    made.name, made._turn = "h1", threading.RLock()
    return made


@pytest.mark.parametrize("said", JUNK, ids=repr)
def test_nonsense_is_no_address_and_a_blind_spot_where_it_is_cut(host: Host, said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "_handle", lambda *_: junk(said))
    found = host.members([RED, BLUE], ["", ""], 4)
    assert all(isinstance(each, Blind) or not each.addresses for each in found)
    if said == SHORT:
        assert [each.what for each in found if isinstance(each, Blind)] == ["h1:red", "h1:blue"]


def test_one_that_is_well_is_a_member(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(endpoint: Endpoint, handle: Any, version: int, group: str) -> Member:
        if endpoint is BLUE:
            return Member(endpoint.endpoint, "h1:blue", (), group)
        return real(endpoint, handle, version, group)

    real = members.read_member
    monkeypatch.setattr(members, "read_member", read)
    blind, member = host.members([RED, BLUE], ["", "b"], 4)
    assert isinstance(blind, Blind)
    assert blind.what == "h1:red"
    assert "h1 gives answers that no kernel gives" in blind.why
    assert member == Member("h1:blue", "h1:blue", (), "b")


def test_containers_of_a_network_that_an_engine_makes_up(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def nonsense(*_: Any) -> Any:
        raise AttributeError("'int' object has no attribute 'items'")

    monkeypatch.setattr(Machine, "connected", nonsense)
    with pytest.raises(CannotLook, match="h1 gives answers that no"):
        host.connected("docker:front")
