"""The worker that crafts: the same bytes as without it, and it never outlives its parent nor lies about as a zombie."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from asking import ask_program, once

from netprobe.lab.lab import Lab
from netprobe.linux.sensors.crafter import Crafter, GuestCrafter
from netprobe.model import Protocol
from netprobe.wire.craft import Recipe, craft
from netprobe.wire.mark import Mark

MARK = Mark(Protocol.UDP, b"abcdef", 3, source_ports=(40000,), port=53)
RECIPES = [
    Recipe(MARK, "10.0.0.2", "8.8.8.8"),
    Recipe(MARK, "fd00::2", "2001:db8::8"),
    Recipe(Mark(Protocol.ICMP, b"abcdef", 2, 0), "10.0.0.2", "8.8.8.8"),
    Recipe(Mark(Protocol.ARP, b"abcdef"), "10.0.0.2", "10.0.0.3", "02:00:00:00:00:01"),
]

CHILD = "import os, sys; from netprobe.linux.sensors.crafter import Crafter; crafter = Crafter(); "
WORKERS = "open(f'/proc/self/task/{os.getpid()}/children').read().split()"


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def gone(pid: str, patience: float = 5) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z" and os.getpid() != 1:  # not ours to collect: its new parent will
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_worker_crafts_the_same(recipe: Recipe) -> None:
    with Crafter() as crafter:
        assert list(crafter(recipe)) == list(craft(recipe))
        assert list(crafter(recipe)) == list(craft(recipe))


EVERY_KIND = [
    *RECIPES,
    Recipe(Mark(Protocol.TCP, b"abcdef", 2, isn=7, source_ports=(40000,), port=80), "10.0.0.2", "8.8.8.8"),
    Recipe(Mark(Protocol.TCP, b"abcdef", 2, isn=7, source_ports=(40000,), port=80), "fd00::2", "2001:db8::8"),
    Recipe(Mark(Protocol.ICMPV6, b"abcdef", 2, 64), "fd00::2", "2001:db8::8"),
    Recipe(Mark(Protocol.ND, b"abcdef"), "fd00::2", "fd00::3", "02:00:00:00:00:01"),
]


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("kinds", [slice(0, 4), slice(4, 8)], ids=["first", "second"])
def test_what_the_worker_has_of_scapy_crafts_the_same_as_all_of_it(six: bool, kinds: slice) -> None:
    """In a process that has nothing of scapy yet: the worker of another one would have it from there."""
    code = f"""{CHILD}
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
from test_crafter import EVERY_KIND
from netprobe.wire.craft import craft
crafter.close()
with Crafter(six={six}) as crafter:
    (worker,) = {WORKERS}
    made = [list(crafter(recipe)) for recipe in EVERY_KIND[{kinds.start}:{kinds.stop}]]
    assert {WORKERS} == [worker]
assert not any(name.split('.')[0] == 'scapy' for name in sys.modules)
assert made == [list(craft(recipe)) for recipe in EVERY_KIND[{kinds.start}:{kinds.stop}]]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("needed", ["scapy.plist", "logging"])
def test_a_scapy_that_needs_what_it_is_denied_is_imported_as_it_is(needed: str) -> None:
    code = f"""
import sys
from types import ModuleType
from netprobe.wire import craft, stand_ins
class Refusing(ModuleType):
    def __getattr__(self, name):
        raise RuntimeError(name)
made = stand_ins._StandIn
stand_ins._StandIn = lambda name: Refusing(name) if name == {needed!r} else made(name)
craft.load_scapy_alone()
import scapy.layers.inet6
print(type(sys.modules[{needed!r}]) is ModuleType, scapy.layers.inet6.IPv6.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == "True IPv6\n"


def test_stand_ins_are_gone_once_scapy_is_there() -> None:
    code = """
import sys
from netprobe.wire.craft import load_scapy_alone
from netprobe.wire.stand_ins import UNUSED
before = {name for name in UNUSED if name in sys.modules}
load_scapy_alone()
assert 'scapy.layers.inet' in sys.modules
print(sorted({name for name in UNUSED if name in sys.modules} - before))
import json, logging, subprocess
print(json.dumps(1), logging.INFO, subprocess.DEVNULL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == "[]\n1 20 -3\n"


def test_only_scapy_has_stand_ins(tmp_path: Path) -> None:
    """A module that scapy needs kept those that it had imported itself: 3.13's pathlib is of no use without glob."""
    (tmp_path / "needed.py").write_text("import difflib\nfrom glob import iglob\n")
    code = f"""
import sys, threading
sys.path.append({str(tmp_path)!r})
from netprobe.wire.stand_ins import UNUSED, without_unused
assert {{"difflib", "glob", "gzip"}} <= set(UNUSED) - set(sys.modules)
with without_unused():
    import needed
    meanwhile = threading.Thread(target=exec, args=("import gzip; found.append(gzip.compress(b''))", {{"found": (found := [])}}))
    meanwhile.start()
    meanwhile.join()
    assert not any("StandIn" in type(each).__name__ for each in sys.modules.values())
print(needed.difflib.ndiff.__name__, list(needed.iglob("/proc/self/stat")), type(found[0]).__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == "ndiff ['/proc/self/stat'] bytes\n"


def test_a_worker_that_crafts_something_else_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has too little of may show in no exception, but in the packet."""
    monkeypatch.setattr("netprobe.linux.sensors.crafter._FIRST_PACKET", b"another")
    with Crafter() as crafter:
        assert list(crafter(RECIPES[0])) == list(craft(RECIPES[0]))
        assert crafter._streams is None


def test_it_leaves_no_process_and_no_descriptor() -> None:
    before, open_before = children(), sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with Crafter() as crafter:
        assert len(children()) == len(before) + 1
        list(crafter(RECIPES[0]))
    crafter.close()
    assert children() == before
    assert sorted(os.listdir("/proc/self/fd")) == open_before  # noqa: PTH208


def test_a_crafter_that_is_forgotten_is_tidied_up() -> None:
    before = children()
    crafter = Crafter()
    assert len(children()) == len(before) + 1
    del crafter
    assert children() == before


def test_without_its_worker_it_crafts_itself() -> None:
    before = set(children())
    with Crafter() as crafter:
        (worker,) = set(children()) - before
        os.kill(int(worker), signal.SIGKILL)
        assert list(crafter(RECIPES[0])) == list(craft(RECIPES[0]))
        assert list(crafter(RECIPES[1])) == list(craft(RECIPES[1]))


def test_a_worker_that_ends_in_the_middle_is_no_loss() -> None:
    many = Recipe(Mark(Protocol.ICMP, b"abcdef", 400, 1400), "10.0.0.2", "8.8.8.8")  # more than a pipe holds
    before = set(children())
    with Crafter() as crafter:
        packets = crafter(many)
        taken = [next(packets)]
        (worker,) = set(children()) - before
        os.kill(int(worker), signal.SIGKILL)
        assert taken + list(packets) == list(craft(many))


def test_packets_that_nobody_takes_do_not_disturb_the_next_probe() -> None:
    many = Recipe(Mark(Protocol.ICMP, b"abcdef", 400, 1400), "10.0.0.2", "8.8.8.8")
    with Crafter() as crafter:
        packets = crafter(many)
        next(packets)
        del packets
        assert list(crafter(RECIPES[0])) == list(craft(RECIPES[0]))


def test_a_mistake_in_the_recipe_is_told_as_without_a_worker() -> None:
    recipe = Recipe(Mark(Protocol.OTHER, b"abcdef"), "10.0.0.2", "8.8.8.8")
    with Crafter() as crafter, pytest.raises(ValueError, match="a probe cannot be other"):
        crafter(recipe)


@pytest.mark.parametrize(
    "ending", ["", "raise KeyboardInterrupt", "__import__('os')._exit(3)", "__import__('os').kill(__import__('os').getpid(), 9)"]
)
def test_the_worker_ends_with_its_parent(ending: str) -> None:
    code = f"{CHILD}print({WORKERS}[0], flush=True); {ending}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert gone(done.stdout.strip())


def test_a_reader_of_the_parents_output_does_not_wait_for_the_worker() -> None:
    """The pipe closes when the parent is killed, although the worker was forked with it open."""
    code = f"{CHILD}print({WORKERS}[0], flush=True); __import__('time').sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = parent.stdout.readline().strip()
        parent.kill()
        assert parent.stdout.read() == ""
    assert gone(worker)


def test_ctrl_c_is_for_the_parent() -> None:
    before = set(children())
    with Crafter() as crafter:
        list(crafter(RECIPES[0]))
        (worker,) = set(children()) - before
        os.kill(int(worker), signal.SIGINT)
        assert list(crafter(RECIPES[0])) == list(craft(RECIPES[0]))
        assert worker in children()


def test_scapy_makes_no_folder_in_the_home(tmp_path: Path) -> None:
    code = "from netprobe.wire.craft import load_scapy; load_scapy()"
    environment = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []


def test_the_parent_does_not_import_scapy() -> None:
    code = f"{CHILD}import netprobe.linux.sensors.observe; sys.exit(any(name.split('.')[0] == 'scapy' for name in sys.modules))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


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


@pytest.mark.lab
@once
def test_the_interfaces_of_our_own_namespace_are_not_listed(fresh_lab: Lab) -> None:
    """Each cost 2 ms, and a name that is no UTF-8 ended the import, and the run with exit 1."""
    odd = "import subprocess; subprocess.run([b'ip', b'link', b'add', b'odd\\xff', b'type', b'bridge'], check=True)"
    fresh_lab.run(["python3", "-c", odd], check=True)
    code = "from netprobe.wire.craft import load_scapy; load_scapy(); from scapy.config import conf; print(len(conf.ifaces))"
    assert fresh_lab.run([sys.executable, "-c", code], check=True).stdout.strip() == "0"
    assert ask_program(fresh_lab, "trace", "red", "8.8.8.8", "--captures", "none").code == 0


def test_the_vendors_that_wireshark_knows_are_not_read() -> None:
    code = (
        "import os, sys\n"
        "exists, opened = os.path.exists, []\n"
        "os.path.exists = lambda path: str(path).endswith('wireshark/manuf') or exists(path)\n"
        "sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == 'open' else None)\n"
        "from netprobe.wire.craft import load_scapy\n"
        "load_scapy(lean=True)\n"
        "sys.exit(any(path.endswith('wireshark/manuf') for path in opened))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
