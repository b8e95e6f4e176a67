"""Names that are commands: every line that a report offers is pasted into a shell, and does nothing but what it says."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import Done, ask, once, reported

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

NAMES = ["e;id>pwn", "$(id>pwn)", "-x", "a'b;id>pwn", "e\x1b[m;id>pwn", "\\';id>pwn;'", "dev", "#\u202e;id"]
NEWLINE = "a\nid>pwn"


class Desk:
    """A folder in which lines are pasted; a program called `id` that betrays itself is found there before any other."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        (folder / "bin").mkdir()
        program = folder / "bin/id"
        program.write_text(f"#!/bin/sh\n: > {folder}/called\n")
        program.chmod(0o755)

    def paste(self, line: str) -> None:
        """Run a line as it is, in the shell that netprobe was started from."""
        assert line.isprintable()
        script = f"cd {self.folder} && PATH={self.folder}/bin:$PATH\n{line}\n"
        done = self.lab.run(["bash", "-c", script])
        assert (done.returncode, done.stderr) == (0, ""), line
        assert [each.name for each in self.folder.iterdir()] == ["bin"], f"{line!r} ran more than itself"

    def mends(self, *question: str) -> Done:
        """Ask, paste what the report offers - the text's lines, and in the broken state again the JSON's - and ask again."""
        said = ask(self.lab, "trace", "--captures", "none", *question)
        cause = reported(ask(self.lab, "trace", "-o", "json", "--captures", "none", *question))["causes"][0]
        assert list(fixes(said.stdout)) == cause["fix"]
        assert len(cause["commands"]) == len(cause["fix"]) > 0
        for line in cause["fix"]:
            self.paste(f"set -- {line}")  # read, not run
            self.paste(line)
        return ask(self.lab, "trace", "--captures", "none", *question)


def fixes(text: str) -> Iterator[str]:
    """The lines of a report behind `fix`, as a person would copy them."""
    inside = False
    for line in text.splitlines():
        inside = line.startswith("  fix     ") or (inside and line.startswith(" " * 10))
        if inside:
            yield line[10:]
        elif line.startswith("  more"):
            return


@pytest.fixture
def desk(fresh_lab: Lab, tmp_path: Path) -> Desk:
    return Desk(fresh_lab, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_an_interface_is_switched_on(desk: Desk, name: str) -> None:
    desk.lab.run(["ip", "link", "set", "dev", "veth0", "down"], check=True)
    desk.lab.run(["ip", "link", "set", "dev", "veth0", "name", name], check=True)
    again = desk.mends("red", "8.8.8.8")
    assert again.code == 0, again.told


@pytest.mark.parametrize("name", ["e;id>pwn", "`id>pwn`", "BRIDGE", "\udcff;id>pwn"])
def test_the_containers_own_end_is_switched_on(desk: Desk, name: str) -> None:
    for words in (["down"], ["name", name]):
        desk.lab.run(["ip", "link", "set", "dev", "eth0", *words], "red", check=True)
    again = desk.mends("red", "8.8.8.8")
    assert "link-admin-down" not in again.stdout, again.told


@pytest.mark.parametrize("chain", ["$(id>pwn)", "e;id>pwn", "a'b;id>pwn"])
def test_a_rule_is_deleted(desk: Desk, chain: str) -> None:
    for words in (["-N", chain], ["-A", "FORWARD", "-j", chain], ["-A", chain, "-m", "comment", "--comment", "`id`", "-j", "DROP"]):
        desk.lab.run(["iptables", *words], check=True)
    again = desk.mends("red", "8.8.8.8")
    assert again.code == 0, again.told


def test_where_to_run_it_may_have_a_line_break_in_its_name(desk: Desk) -> None:
    desk.lab.run(["ip", "netns", "add", NEWLINE], check=True)
    desk.lab.run(["ip", "link", "add", "port", "type", "veth", "peer", "name", "eth0", "netns", NEWLINE], check=True)
    desk.lab.run(["ip", "link", "set", "dev", "port", "master", "br0", "up"], check=True)
    desk.lab.run(["ip", "-n", NEWLINE, "address", "add", "10.0.0.9/16", "dev", "eth0"], check=True)
    again = desk.mends(NEWLINE, "10.0.0.1")
    assert again.code == 0, again.told


@pytest.mark.parametrize("name", ["a b", "$(id)", "x; flush ruleset", "{ }"])
def test_what_nft_would_read_as_its_own_language_is_no_command(desk: Desk, name: str) -> None:
    """Such a chain is made by netlink; the nft program can neither make nor name it."""
    desk.lab.call(make_chain, name)
    cause = reported(ask(desk.lab, "trace", "-o", "json", "--captures", "none", "red", "8.8.8.8"))["causes"][0]
    assert (cause["code"], cause["object"]["words"]) == ("policy-drop", ["nft", "ip", "t", name, "policy"])
    assert cause["commands"] == []
    assert "cannot be written in nft's language" in cause["advice"]
    desk.paste(cause["fix"][0])


def make_chain(name: str) -> None:
    """In the lab: a base chain of this name that drops whatever is forwarded."""
    from pyroute2.nftables.main import NFTables

    with NFTables() as nft:
        nft.begin()
        nft.table("add", name="t")
        nft.chain("add", table="t", name=name, hook="forward", type="filter", policy=0, priority=0)
        nft.commit()


@pytest.mark.parametrize(("name", "known"), [("x.y;id>pwn", True), ("$(id>pwn)", True), ("x=1", False), ("e*", False)])
def test_a_setting_is_written_where_its_name_is_read_as_it_is(desk: Desk, name: str, known: bool) -> None:
    """sysctl(8) divides at the first `=`, and some of its releases expand patterns."""
    for words in (["link", "set", "dev", "eth0", "down"], ["link", "set", "dev", "eth0", "name", name], ["link", "set", "dev", name, "up"]):
        desk.lab.run(["ip", *words], "red", check=True)
    file = shlex.quote(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
    desk.lab.run(["bash", "-c", f"echo 1 > {file}"], "red", check=True)
    question = ("red", "fd00:10::1")
    if not known:
        cause = reported(ask(desk.lab, "trace", "-o", "json", "--captures", "none", *question))["causes"][0]
        assert (cause["code"], cause["commands"]) == ("ipv6-disabled", [])
        assert "/proc/sys" in cause["advice"]
        return
    desk.mends(*question)
    assert desk.lab.run(["bash", "-c", f"cat {file}"], "red").stdout == "0\n"
