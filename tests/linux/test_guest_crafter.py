"""The worker that crafts for a program that is not ours: with the scapy that is there, one for all sessions, until it is idle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from asking import once
from crafting import RECIPES, WORKERS, children, gone

from netprobe.lab.lab import Lab
from netprobe.linux.sensors.crafter import GuestCrafter
from netprobe.model import Protocol
from netprobe.wire.craft import Recipe, craft
from netprobe.wire.mark import Mark

GUEST = "import os, sys; from netprobe.linux.sensors.crafter import GuestCrafter; crafter = GuestCrafter(); "


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_guest_crafts_the_same(recipe: Recipe) -> None:
    """In a process that has nothing of scapy, and has nothing of it afterwards."""
    code = f"""{GUEST}
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
from netprobe.model import Protocol
from netprobe.wire.craft import Recipe, craft
from netprobe.wire.mark import Mark
recipe = {recipe!r}
made = [list(crafter(recipe)) for _ in range(2)]
assert len({WORKERS}) == 1
assert not any(name.split('.')[0] == 'scapy' for name in sys.modules)
crafter.close()
assert {WORKERS} == []
assert made == [list(craft(recipe))] * 2
"""
    code = code.replace(repr(recipe.mark.protocol), f"Protocol({recipe.mark.protocol.value!r})")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.lab
@once
def test_a_program_that_asks_has_all_of_scapy_afterwards(lab: Lab) -> None:
    """What we import leaves out interfaces and routes: a program that imported scapy later sent nothing any more."""
    code = """
import netprobe, sys
if len(sys.argv) > 1:
    with netprobe.open() as net:
        assert net.trace("red", "8.8.8.8")
        assert net.matrix(["red", "host"])
from scapy.all import conf
print(sorted(conf.ifaces.data), conf.route.route("127.0.0.1"), str(conf.iface), conf.route_autoload)
"""
    before, after = (lab.run([sys.executable, "-c", code, *asks], check=True).stdout for asks in ([], ["asks"]))
    assert after == before
    assert "lo" in before


def test_a_guest_crafts_with_the_scapy_that_is_there() -> None:
    code = f"{GUEST}import scapy.layers.inet; crafter.start(); sys.exit(len({WORKERS}))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_guest_never_runs_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a server, or a program that was frozen, that is no Python."""
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    monkeypatch.setattr("netprobe.linux.sensors.crafter._is_loaded", lambda: False)
    before = children()
    guest = GuestCrafter()
    guest.start()
    assert children() == before
    assert list(guest(RECIPES[0])) == list(craft(RECIPES[0]))


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Iterator[GuestCrafter]:
    monkeypatch.setattr("netprobe.linux.sensors.crafter._is_loaded", lambda: False)
    with GuestCrafter() as made:
        yield made


def test_what_two_threads_ask_of_a_guest_is_not_mixed(guest: GuestCrafter) -> None:
    first, second = guest(RECIPES[0]), guest(RECIPES[1])
    made = [packet for both in zip(first, second, strict=True) for packet in both]
    assert made == [packet for both in zip(craft(RECIPES[0]), craft(RECIPES[1]), strict=True) for packet in both]


def test_all_sessions_of_a_program_have_one_worker() -> None:
    code = f"""
import os
from netprobe.linux.sensors.guest import Guest
first, second, other = Guest(True), Guest(True), Guest(False)
other.start()
print(len({WORKERS}))
first.start()
second.start()
print(len({WORKERS}))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == "0\n1\n"


def test_a_guests_worker_that_is_idle_ends_and_another_takes_its_place(monkeypatch: pytest.MonkeyPatch, guest: GuestCrafter) -> None:
    before = set(children())
    monkeypatch.setattr("netprobe.linux.sensors.crafter.IDLE_S", 0.1)
    guest.start()
    (first,) = set(children()) - before
    assert gone(first) or Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    monkeypatch.setattr("netprobe.linux.sensors.crafter.IDLE_S", 20)
    guest._used_s -= 20
    assert list(guest(RECIPES[0])) == list(craft(RECIPES[0]))
    (second,) = set(children()) - before
    assert second != first
    guest.close()
    assert set(children()) == before


def test_what_nobody_took_does_not_end_a_guest(guest: GuestCrafter) -> None:
    many = Recipe(Mark(Protocol.ICMP, b"abcdef", 400, 1400), "10.0.0.2", "8.8.8.8")
    packets = guest(many)
    next(packets)
    del packets
    assert list(guest(RECIPES[0])) == list(craft(RECIPES[0]))
    assert guest._streams is not None


def test_a_worker_that_cannot_craft_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, guest: GuestCrafter) -> None:
    monkeypatch.setattr("netprobe.linux.sensors.crafter._WORK", "raise SystemExit(1)")
    before = children()
    for _ in range(2):
        assert list(guest(RECIPES[0])) == list(craft(RECIPES[0]))
        assert (guest._streams, children()) == (None, before)


def test_a_program_that_forks_has_a_worker_on_each_side(guest: GuestCrafter) -> None:
    guest.start()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            made = list(guest(RECIPES[0])) == list(craft(RECIPES[0])) and len(children()) == 1
            guest.close()
            os._exit(0 if made and not children() else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(guest(RECIPES[1])) == list(craft(RECIPES[1]))


def test_a_guest_leaves_no_process_and_no_descriptor(guest: GuestCrafter) -> None:
    before, open_before = children(), sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208
    guest.start()
    assert len(children()) == len(before) + 1
    list(guest(RECIPES[0]))
    guest.close()
    assert children() == before
    assert sorted(os.listdir("/proc/self/fd")) == open_before  # noqa: PTH208


@pytest.mark.parametrize(
    "ending", ["", "raise KeyboardInterrupt", "__import__('os')._exit(3)", "__import__('os').kill(__import__('os').getpid(), 9)"]
)
def test_the_worker_of_a_guest_ends_with_its_program(ending: str) -> None:
    """Also where a process that the program has forked still holds its pipe open."""
    forked = "child = os.fork(); child or (__import__('time').sleep(30), os._exit(0)); "
    code = f"{GUEST}crafter.start(); print({WORKERS}, flush=True); {forked}print(child, flush=True); {ending}"
    done = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert done.stdout is not None
    (worker,) = json.loads(done.stdout.readline().replace("'", '"'))
    child = int(done.stdout.readline())
    try:
        done.wait(30)
        assert gone(worker)
    finally:
        os.kill(child, signal.SIGKILL)
        done.stdout.close()


def test_a_guest_in_a_thread_that_ends_goes_on(guest: GuestCrafter) -> None:
    before = set(children())
    starting = threading.Thread(target=guest.start)
    starting.start()
    starting.join()
    assert list(guest(RECIPES[0])) == list(craft(RECIPES[0]))
    assert len(set(children()) - before) == 1
