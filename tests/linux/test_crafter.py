"""The worker that crafts: the same bytes as without it, and it never outlives its parent nor lies about as a zombie."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from asking import ask_program, once
from crafting import CHILD, RECIPES, WORKERS, children, gone

from netprobe.lab.lab import Lab
from netprobe.linux.sensors.crafter import Crafter
from netprobe.model import Protocol
from netprobe.wire.craft import Recipe, craft
from netprobe.wire.mark import Mark


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
