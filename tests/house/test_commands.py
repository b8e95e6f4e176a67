"""A command is words until it is shown: nobody else puts a command's text together, quotes it, or takes it apart."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from house.imports import PACKAGE
from house.parsing import parsed

TOOLS = (
    *("ip", "bridge", "tc", "ss", "nft", "iptables", "ip6tables", "ebtables", "arptables", "sysctl", "conntrack", "nsenter", "ethtool"),
    *("docker", "podman", "lxc-start", "machinectl", "systemctl", "bpftool", "nstat", "sudo", "netprobe", "iptables-legacy"),
)
BEGINS = re.compile(rf"(?:{'|'.join(map(re.escape, TOOLS))}) ")
HOME = PACKAGE / "model/command.py"
NFT = PACKAGE / "predict/fixes.py"
QUOTED = PACKAGE / "linux/privilege.py"  # puts `sudo` before a line that is quoted
# Labs run commands on networks of their own; what they are made of is in this repository, and they import nothing of it.
FILES = [file for file in sorted(PACKAGE.rglob("*.py")) if PACKAGE / "lab" not in file.parents]
# Errors that say where a tool or an interface of the kernel is missing: sentences about a tool, no commands.
SENTENCES = re.compile(r"(?:docker|podman|nft|conntrack|sysctl) (?:at|is|has|does|could|cannot|context|printed)\b")


def put_together(source: str) -> Iterator[ast.expr]:
    """Texts that begin with a tool's name and go on with something that is not in the source."""
    for node in ast.walk(parsed(source)):
        match node:
            case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]) if len(node.values) > 1:
                made = start
            case ast.BinOp(left=ast.Constant(value=str(start)), op=ast.Mod() | ast.Add()):
                made = start
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(start)), attr="format" | "format_map" | "replace")):
                made = start
            case _:
                continue
        if BEGINS.match(made) and not SENTENCES.match(made):
            yield node


def remarks_of_others(source: str) -> Iterator[ast.expr]:
    """Notes and advice that are not written out in the source: they stand outside of quotes."""
    for node in ast.walk(parsed(source)):
        if not isinstance(node, ast.Call) or not ast.unparse(node.func).startswith("Command"):
            continue
        told = [keyword.value for keyword in node.keywords if keyword.arg == "note"]
        told += node.args if ast.unparse(node.func) == "Command.advice" else []
        yield from (text for text in told if not isinstance(text, ast.Constant))


def lines_made_by_hand(source: str) -> Iterator[ast.Call]:
    """Causes and ends that are given lines instead of commands."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Cause", "Stop", "replace", "structs.replace"):
            yield from (node for keyword in node.keywords if keyword.arg == "fix")


def words_with_blanks(source: str) -> Iterator[ast.expr]:
    """Several words written as one: `Command.of("ip link", ...)`. What nft reads in braces is one on purpose."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "Command.of",
            "Command.look",
            "ip",
            "fixes.ip",
            "link_set",
            "fixes.link_set",
        ):
            yield from (a for a in node.args if isinstance(a, ast.Constant) and " " in a.value and not a.value.startswith("{"))


def quoters(source: str) -> Iterator[ast.stmt]:
    """Other ways to quote words or to take them apart."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import) and "shlex" in [name.name for name in node.names]:
            yield node
        if isinstance(node, ast.ImportFrom) and node.module in ("shlex", "pipes"):
            yield node


def nft_by_hand(source: str) -> Iterator[ast.expr]:
    """Commands of nft that `fixes.nft` has not made: nft reads its words as one text, in which a name may end a rule and begin another."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Command.of" and ast.unparse(node.args[0]) == "'nft'":
            yield node


RULES = (nft_by_hand, put_together, remarks_of_others, lines_made_by_hand, words_with_blanks, quoters)


@pytest.mark.parametrize("rule", RULES)
def test_a_command_is_words_until_it_is_shown(rule) -> None:  # type: ignore[no-untyped-def]
    exempt = {put_together: [QUOTED], remarks_of_others: [HOME], nft_by_hand: [NFT]}.get(rule, [])
    found = [f"{file.relative_to(PACKAGE)}:{node.lineno}" for file in FILES if file not in exempt for node in rule(file.read_text())]
    assert found == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (nft_by_hand, 'fix = Command.of("nft", "delete", "table", table.name)'),
        (put_together, 'fix = f"ip link set {name} up"'),
        (put_together, 'fix = "ip link set " + name + " up"'),
        (put_together, 'fix = "ip link set %s up" % name'),
        (put_together, 'fix = "ip link set {} up".format(name)'),
        (put_together, 'fix = "ip route add default via GATEWAY".replace("GATEWAY", via)'),
        (put_together, 'hint = f"docker start {name}"'),
        (remarks_of_others, 'Command.of("ss", note=f"in {name}")'),
        (remarks_of_others, "Command.advice(text)"),
        (lines_made_by_hand, 'Stop(code, place, text, fix=("reboot",))'),
        (lines_made_by_hand, 'replace(cause, fix=("reboot",))'),
        (words_with_blanks, 'Command.of("ip link", "set")'),
        (quoters, "def f():\n    import shlex"),
        (quoters, "from shlex import quote"),
    ],
)
def test_a_breach_is_seen(rule, source: str) -> None:  # type: ignore[no-untyped-def]
    assert list(rule(source))


def test_the_labs_are_the_only_exception() -> None:
    assert {file.parent.name for file in set(PACKAGE.rglob("*.py")) - set(FILES)} == {"lab", "faults"}
    assert "joined(" in QUOTED.read_text()
