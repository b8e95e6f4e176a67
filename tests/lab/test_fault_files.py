"""The files of the faults: an error names the file, the fault and the key; all are read, and only when asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netprobe.lab import faults
from netprobe.lab.changes import SetSysctl, Tool
from netprobe.lab.crafted import AnnounceAddress
from netprobe.lab.faults import FAULTS, SECTIONS, Expected, Fault
from netprobe.lab.faults.networks import OFFICES
from netprobe.lab.faults.read import KINDS, section

FOLDER = Path(faults.__file__).parent

WHOLE = """
section = "Links"
[[fault]]
name = "lost"
title = "it is lost"
network = "offices"
probe = "trace pc '10.2.0.10' --ttl 9"
expected = {code = "no-route", place = "r1/lan", direction = "request", object = "x", stage = "input"}
foreseen = false
given = [{sysctl = "net.ipv4.ip_forward", in = "r1", to = "1"}]
inject = [
  {announce = "10.1.0.1", dev = "lan", in = "r1", learner = "pc"},
  {forget = ["pc/eth0", "r1/lan"]},
]
"""


def read(folder: Path, text: str) -> tuple[str, tuple[Fault, ...]]:
    file = folder / "links.toml"
    file.write_text(text)
    return section(file)


def flush(namespace: str, interface: str) -> Tool:
    argv = ("ip", "-4", "neigh", "flush", "dev", interface)
    return Tool(namespace, argv, ("ip", "-4", "neigh", "show", "dev", interface), "lladdr", absent=True)


def test_a_fault_is_what_its_table_says(tmp_path: Path) -> None:
    fault = Fault(
        "lost",
        "it is lost",
        ("trace", "pc", "10.2.0.10", "--ttl", "9"),
        (AnnounceAddress("r1", "lan", "10.1.0.1", "pc"), flush("pc", "eth0"), flush("r1", "lan")),
        Expected("no-route", "r1", "lan", "request", "x", stage="input"),
        OFFICES,
        given=(SetSysctl("r1", "net.ipv4.ip_forward", "1"),),
        foreseen=False,
    )
    assert read(tmp_path, WHOLE) == ("Links", (fault,))


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        # keys that are unknown
        ('title = "it is', 'titel = "it is', "lost: there is no key `titel` here; there are name, title, probe,"),
        ('stage = "input"', 'sage = "input"', "lost: expected: there is no key `sage` here"),
        ('learner = "pc"', 'lerner = "pc"', "lost: inject 1: there is no key `lerner` here; there are in, dev, announce, learner"),
        ('"r1/lan"]}', '"r1/lan"], in = "pc"}', "lost: inject 2: there is no key `in` here; there are forget, version"),
        ('section = "Links"', 'section = "Links"\nfalut = []', "there is no key `falut` here; there are section, fault"),
        # a kind that is unknown, or two of them
        ('{announce = "10', '{anounce = "10', "lost: inject 1: one key must say what is changed; here are `anounce`, `dev`"),
        ('dev = "lan"', 'address = "lan"', "lost: inject 1: one key must say what is changed; here are `announce`, `address`;"),
        # keys that are missing
        ('name = "lost"', "", "fault without a name: the key `name` is missing"),
        ('title = "it is lost"', "", "lost: the key `title` is missing"),
        ('direction = "request", ', "", "lost: expected: the key `direction` is missing"),
        (', to = "1"', "", "lost: given 1: the key `to` is missing"),
        ('section = "Links"', "", "the key `section` is missing"),
        # values of a wrong type, or of the right type and wrong
        ('to = "1"', "to = 1", "lost: given 1: `to`: Expected `str`, got `int`"),
        ("foreseen = false", 'foreseen = "no"', "lost: `foreseen`: Expected `bool`, got `str`"),
        ('forget = ["pc/eth0"', "forget = [7", r"lost: inject 2: `forget`: Expected `str`, got `int` - at `$[0]`"),
        ('forget = ["pc/eth0"', 'forget = ["pc"', "lost: inject 2: 'pc' is not NAMESPACE/INTERFACE"),
        ('"request"', '"there"', "lost: expected: `direction`: Invalid enum value 'there'"),
        ('"offices"', '"office"', "lost: network: there is no 'office'; there are tutorial, offices,"),
        ("'10.2.0.10'", "'10.2.0.10", "lost: No closing quotation"),
        ("foreseen = false", "foreseen = no", "Invalid value (at line 9"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, written: str, instead: str, said: str) -> None:
    assert WHOLE.count(written) == 1
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        read(tmp_path, WHOLE.replace(written, instead))
    assert str(raised.value).startswith(f"links.toml: {said}")


@pytest.mark.parametrize("proof", ["", ', shows = ""', ', shows = "x", lacks = "y"'], ids=["none", "empty", "both"])
def test_a_program_is_proved_by_one_thing(tmp_path: Path, proof: str) -> None:
    before, _, _ = WHOLE.partition("inject")
    with pytest.raises(ValueError, match="inject 1: either `shows` or `lacks` must say"):
        read(tmp_path, before + f'inject = [{{run = "true", in = "pc", reads = "true"{proof}}}]')


def test_every_file_is_in_the_catalogue() -> None:
    assert sorted(section(file)[0] for file in FOLDER.glob("*.toml")) == sorted(title for title, _ in SECTIONS)
    assert sum(len(section(file)[1]) for file in FOLDER.glob("*.toml")) == len(FAULTS)


def test_every_kind_of_step_is_used() -> None:
    """Else nobody has seen that it works."""
    text = "\n".join(file.read_text() for file in FOLDER.glob("*.toml"))
    assert [kind for kind in KINDS if f"{{{kind} = " not in text and f"\n{kind} = " not in text] == []


@pytest.mark.parametrize("module", ["netprobe.lab.lab", "netprobe.lab.faults.networks"])
def test_the_files_are_read_when_faults_are_asked_for(module: str) -> None:
    """A lab without a fault does not wait for them."""
    program = f"""
import sys
opened = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
import {module}
print(sum(file.endswith(".toml") for file in opened))
from netprobe.lab.faults import FAULTS
print(sum(file.endswith(".toml") for file in opened))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", str(len(SECTIONS))]
