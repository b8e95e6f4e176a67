"""docs/tutorial.md is typed: each answer of netprobe is the tutorial's next command, and what the page shows is what is printed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from house.test_documents import NETPROBE, blocks
from msgspec import Struct

from netprobe.lab.lab import Lab
from netprobe.lab.topology import Interface, LabBridge, LabRoute, Rules, Sysctl, Topology, Veth

pytestmark = pytest.mark.lab

PAGE = (Path(__file__).parents[2] / "docs/tutorial.md").read_text()
CONTAINER = Topology(
    namespaces=("docker", "internet"),
    links=(
        LabBridge(Interface("docker", "docker0", ("172.17.0.1/16",))),
        Veth(Interface("host", "eth0", ("172.17.0.2/16",)), Interface("docker", "veth4f1d2a6", master="docker0")),
        Veth(Interface("docker", "eth0", ("203.0.113.2/24",)), Interface("internet", "eth0", ("203.0.113.1/24",))),
    ),
    loopback=(Interface("internet", "lo", ("8.8.8.8/32",)),),
    routes=(LabRoute("host", via="172.17.0.1", device="eth0"), LabRoute("docker", via="203.0.113.1", device="eth0")),
    sysctls=(Sysctl("host", "net.ipv4.ip_forward", "0"), Sysctl("docker", "net.ipv4.ip_forward", "1")),
    rules=(Rules("docker", "iptables", "*nat\n-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n"),),
)
TERMINAL = {"LC_ALL": "C.UTF-8", "COLUMNS": ""}  # the page is as wide as its lines
ALONE = ["unshare", "--pid", "--fork", "--mount-proc"]  # as in a container: no process of another namespace is seen


class Typed(Struct, frozen=True):
    """A line after `$`, and what the page shows below it."""

    line: str
    shown: tuple[str, ...]

    @property
    def asks(self) -> bool:
        return self.line.startswith("netprobe ")


def typed() -> Iterator[Typed]:
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, *shown = part.splitlines()
            yield Typed(line, tuple(shown))


def tutorial() -> list[str]:
    (block,) = blocks(PAGE)
    return block.splitlines()


def rows() -> list[tuple[str, str, list[str]]]:
    """(what takes a thing away, the cause, what is said to type) of the table."""
    cells = [[re.findall("`([^`]+)`", cell) for cell in line.split("|")] for line in PAGE.splitlines() if line.startswith("| ")]
    return [(away[0], code[0], says) for _, _, away, code, says, _ in cells if away]


def spelled(command: str) -> str:
    """A command in the one of several spellings that netprobe uses."""
    command = re.sub(r"^ip -n (\S+) ", r"ip netns exec \1 ip ", command)
    command = re.sub(r"\bip link set (?!dev )", "ip link set dev ", command)
    command = re.sub(r"\blink add veth0 type veth\b", "link add type veth", command)  # the first name that is free
    return command.replace("ip addr ", "ip address ").replace("sysctl net.", "sysctl -w net.")


def lines_to_type(fix: list[str]) -> list[str]:
    """The lines of a fix, without what makes comments of those with blanks, and without what is told of later steps."""
    return [re.sub(r"^# (?:fill in [^:]+|and): ", "", line) for line in fix if not line.startswith("# and then: ")]


def fits(line: str, said: str) -> bool:
    """Whether a line is what was said, each word in capitals filled in."""
    parts = re.split(r"\b(?:ADDRESS|LENGTH|GATEWAY)\b", said)
    return re.fullmatch(r"[\w.]+".join(map(re.escape, parts)), line) is not None


def fix_of(output: str) -> list[str]:
    """The lines of the first fix that a report prints."""
    found = re.search(r"^error.*?^  fix +([^\n]+\n(?: {10}[^\n]+\n)*)", output, re.MULTILINE | re.DOTALL)
    return lines_to_type([line.strip() for line in found[1].splitlines()]) if found else []


def run(lab: Lab, line: str, *before: str) -> CompletedProcess[str]:
    words = shlex.split(line)
    return lab.run([*before, *(NETPROBE if words[0] == "netprobe" else words[:1]), *words[1:]], environment=TERMINAL)


def settle(lab: Lab) -> None:
    """Nobody waits for the answer to an old question: a person types more slowly than the kernel asks again, which is each second."""
    for name in ("red", "host"):
        lab.run(["ip", "neigh", "flush", "nud", "incomplete"], name)


def asked(lab: Lab, destination: str, *before: str) -> dict[str, Any]:
    """The first cause that is reported; none where the answer is yes."""
    settle(lab)
    done = run(lab, f"netprobe trace -o json --captures none red {destination}", *before)
    causes = json.loads(done.stdout)["causes"]
    return causes[0] if done.returncode else {}


def built(make_lab: Callable[[Topology], Lab], commands: list[str]) -> Lab:
    lab = make_lab(CONTAINER)
    for command in commands:
        lab.run(shlex.split(command), check=True)
    return lab


def differs(shown: tuple[str, ...], output: str) -> str | None:
    """The first line of the page that is not printed where it should be; only at `...` anything may stand between two."""
    lines, left_out = iter([" ".join(line.split()) for line in output.splitlines()]), False  # columns are as wide as times are long
    for each in shown:
        if each == "...":
            left_out = True
            continue
        timeless = re.compile(re.sub(r"\d+\\ µs", r"[\\d.]+\\ (?:µs|ms)", re.escape(" ".join(each.split()))))
        candidates = lines if left_out else [next(lines, "")]
        if not any(timeless.fullmatch(line) for line in candidates):
            return each
        left_out = False
    return None


def test_every_answer_is_the_next_command(make_lab: Callable[[Topology], Lab]) -> None:
    lab, done = make_lab(CONTAINER), []
    due: list[str] = []
    told: list[tuple[str, list[str]]] = []
    for step in typed():
        if step.asks:
            settle(lab)
        ended = run(lab, step.line)
        output = ended.stdout + ended.stderr
        assert differs(step.shown, output) is None, (step.line, output)
        if step.asks:
            due = fix_of(output)
            told.append((step.line, re.findall("^error.*", output, re.MULTILINE)[:1]))
            assert (ended.returncode == 0) is not bool(due), output
        elif ended.returncode == 0:
            assert not due or [fits(step.line, said) for said in due] == [True], (step.line, due)
            done.append(step.line)
    assert due == []
    assert len({str(each) for each in told}) == len(told), "an answer came twice"
    assert [spelled(line) for line in tutorial()] == [spelled(line) for line in done]


def test_one_thing_missing(make_lab: Callable[[Topology], Lab]) -> None:
    lab = built(make_lab, tutorial())
    for away, code, says in rows():
        lab.run(shlex.split(away), check=True)
        cause = asked(lab, "8.8.8.8")
        said = lines_to_type(cause["fix"])
        assert cause["code"] == code, (away, cause)
        assert [fits(*pair) for pair in zip(says, said, strict=True)] == [True] * len(says), (away, said)
        for line in says:
            lab.run(shlex.split(line), check=True)
        assert asked(lab, "8.8.8.8") == {}, away


def test_the_rows_are_about_every_step() -> None:
    """What one cannot take away alone: the namespace, the bridge and the cable, with which all the rest goes."""
    said = {line.replace("10.0.0.2/16", "10.0.0.2/32") for _, _, says in rows() for line in says}
    assert {spelled(line) for line in tutorial()[3:]} <= said


@pytest.mark.parametrize("destination", ["8.8.8.8", "172.17.0.1"])
def test_inside_of_a_container_the_last_answer_is_the_same(make_lab: Callable[[Topology], Lab], destination: str) -> None:
    *before, last = tutorial()
    lab = built(make_lab, before)
    for name in CONTAINER.namespaces:
        lab.start(["sleep", "1000"], namespace=name)  # what keeps it when its name is gone
        lab.run(["ip", "netns", "del", name], check=True)
    assert asked(lab, destination, *ALONE)["fix"] == [last]
    lab.run(shlex.split(last), check=True)
    assert asked(lab, destination, *ALONE) == {}
