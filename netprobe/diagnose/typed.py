"""A command as a person types it becomes the commands that `apply` carries out: where it is to be run, words
written out that iproute2 lets one shorten, one command for each thing that is set. Pure.

What only looks, and what is no command of a network, is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import dropwhile

from msgspec import Struct

from netprobe.model import STARTED_IN, Command
from netprobe.model.command import way_of
from netprobe.model.lookup import those_not_in
from netprobe.model.shell_words import split

from .apply_xtables import TOOLS

Words = tuple[str, ...]


class Misread(ValueError):
    """A line that is no change of a network's configuration; the message says why."""


class Typed(Struct, frozen=True):
    """What a line says: commands, to be run in namespace `where` (an endpoint as people write it; None: where
    the person is).
    """

    commands: tuple[Command, ...]
    where: str | None = None


def typed(line: str) -> Typed:
    """The commands of a line. Raises Misread."""
    try:
        words = split(line)
    except ValueError as error:
        raise Misread(
            f"{str(error)!r:.40} is not understood: write one command without shell syntax"
        ) from error
    host, words = _on_host(words)
    where, words = _entered(words)
    if not words:
        raise Misread("there is no command in it")
    tool, rest = words[0].rpartition("/")[2], words[1:]
    if tool not in _TOOLS:
        raise Misread(f"{tool!r:.40} is not known: {', '.join(sorted(_TOOLS))} are")
    inside, made = _TOOLS[tool](tool, rest)
    return Typed(tuple(map(Command, made)), _place(host, inside or where))


# ---- where


def _on_host(words: Words) -> tuple[str | None, Words]:
    """The host that the words before a command lead to, and the command as the shell there reads it: ssh(1)
    joins with blanks what stands behind the host.
    """
    way, inner = way_of(words)
    if not way:
        return None, words
    try:
        return way[-1].rpartition("@")[2], split(" ".join(inner))
    except ValueError as error:
        raise Misread(f"{str(error)!r:.40} is not understood behind {way[-1]:.40}") from error


def _place(host: str | None, name: str | None) -> str | None:
    """A namespace of a host as people write it; without a name the one that ssh leads to."""
    return name if host is None else f"{host}:{name or STARTED_IN}"


def _entered(words: Words) -> tuple[str | None, Words]:
    """The namespace that the words before a command enter, and the command."""
    where: str | None = None
    while (found := _step_inside(words)) is not None:
        where, words = found[0] or where, found[1]
    return where, words


def _step_inside(words: Words) -> tuple[str | None, Words] | None:
    match words:
        case ("sudo", *rest):
            return None, tuple(rest)
        case ("ip", "netns", "exec", name, *rest):
            return name, tuple(rest)
        case ("docker" | "podman" as engine, "exec", *rest):
            inside = [*dropwhile(lambda word: word.startswith("-"), rest)]
            return f"{engine}:{_word(inside, 0)}", tuple(inside[1:])
        case ("nsenter", *rest):
            return _nsenter(tuple(rest))
    return None


def _word(words: Sequence[str], at: int) -> str:
    """The word at a place; "" behind the last one."""
    return words[at] if at < len(words) else ""


_PROCESS = re.compile(r"(?:-t|--target=)(\d+)")
_FILE = re.compile(r"(?:-n|--net=)(.+)")
_NAMED_FILE = re.compile(r"(?:/var)?/run/netns/([^/]+)")


def _nsenter(words: Words) -> tuple[str, Words]:
    """nsenter(1): the network namespace of a process, or of a file."""
    place, at = "", 0
    while at < len(words) and words[at].startswith("-"):
        word, at = words[at], at + 1
        if word in ("-t", "--target"):
            word, at = f"-t{_word(words, at)}", at + 1
        if process := _PROCESS.fullmatch(word):
            place = f"pid:{process[1]}"
        elif file := _FILE.fullmatch(word):
            named = _NAMED_FILE.fullmatch(file[1])
            place = named[1] if named else f"path:{file[1]}"
    if not place:
        raise Misread("nsenter names no process (-t PID -n) and no file (--net=FILE)")
    return place, words[at:]


# ---- ip, bridge, tc

_OBJECTS = ("address", "route", "rule", "neighbour", "neighbor", "link", "netns", "xfrm")
_VERBS = (
    "add",
    "set",
    "change",
    "chg",
    "replace",
    "append",
    "delete",
    "insert",
    "show",
    "list",
    "lst",
    "flush",
    "get",
    "save",
)
_SHOWS = ("show", "list", "lst", "get", "save")
_NAMES = {"neighbour": "neigh", "neighbor": "neigh", "chg": "change", "delete": "del"}
_MUTE = {"nodad": 0, "brd": 1, "broadcast": 1, "label": 1, "pref": 1, "protocol": 1}


def _ip(tool: str, words: Words) -> tuple[str | None, list[Words]]:
    """`ip [-4|-6] [-n NS] OBJECT VERB …`, shortened as iproute2 allows (its function `matches`)."""
    where, flags, words = _options(words)
    six = ("-6",) if flags & {"-6", "inet6"} else ()
    if not words:
        raise Misread("ip is told nothing")
    thing = _whole(words[0], _OBJECTS)
    verb = _whole(words[1], _VERBS) if len(words) > 1 else "show"
    if verb in _SHOWS:
        raise Misread(f"`ip {thing} {verb}` changes nothing")
    match thing, verb:
        case "link", "set":
            return where, list(_link_set(words[2:]))
        case "xfrm", _:
            return where, [(tool, *words)]
        case "link" | "rule", _:
            return where, [(tool, *six, thing, verb, *words[2:])]
    return where, [(tool, *six, thing, verb, *_without(words[2:], _MUTE))]


def _options(words: Words) -> tuple[str | None, set[str], Words]:
    """The namespace of `-n`, the flags, and what is behind them."""
    where, flags, at = None, set[str](), 0
    while at < len(words) and words[at].startswith("-"):
        word, value = words[at].lstrip("-"), _word(words, at + 1)
        takes = word in ("n", "net", "netns", "f", "family")
        where = value if word in ("n", "net", "netns") else where
        flags |= {value if takes else words[at]}
        at += 1 + takes
    return where, flags, words[at:]


def _whole(word: str, known: Sequence[str]) -> str:
    """A word that may be shortened: the first that begins so; what is not known stays."""
    found = next((each for each in known if each.startswith(word)), word)
    return _NAMES.get(found, found)


def _without(words: Words, mute: dict[str, int]) -> Words:
    """The words without those of no consequence, and so many behind each."""
    kept, at = list[str](), 0
    while at < len(words):
        word = words[at]
        if word not in mute:
            kept.append(word)
        at += 1 + mute.get(word, 0)
    return tuple(kept)


# what `ip link set` takes, with how many words behind it, in the order in which the kernel does it
# (net/core/rtnetlink.c, do_setlink)
_SET = {
    "netns": 1,
    "address": 1,
    "mtu": 1,
    "name": 1,
    "up": 0,
    "down": 0,
    "arp": 1,
    "master": 1,
    "nomaster": 0,
}
_SAME = {"addr": "address"}


def _link_set(words: Words) -> Iterator[Words]:
    """One command for each thing that is set."""
    device, wanted = "", dict[str, Words]()
    while words:
        word = _SAME.get(words[0], words[0])
        if word == "type" or word.startswith("xdp"):
            wanted[word] = words
            break
        size = _SET.get(word, 0)
        if word in _SET:
            wanted[word] = (word, *words[1 : 1 + size])
        elif word != "dev":
            if device:
                raise Misread(f"`ip link set {device} {word}` is not known")
            device = word
        words = words[1 + size :]
    if not device or not wanted:
        raise Misread("`ip link set` names no interface, or nothing to set")
    for key in sorted(wanted, key=[*_SET, *wanted].index):
        yield "ip", "link", "set", "dev", device, *wanted[key]
        device = wanted[key][1] if key == "name" and len(wanted[key]) > 1 else device


def _iproute(tool: str, words: Words) -> tuple[str | None, list[Words]]:
    """`bridge` and `tc`, with their `-n`."""
    where, _, words = _options(words)
    said = tuple(_NAMES.get(word, word) for word in words[:2])
    if said[1:] and said[1] in _SHOWS:
        raise Misread(f"`{tool} {said[0]} {said[1]}` changes nothing")
    return where, [(tool, *said, *words[2:])]


# ---- the rest


def _sysctl(tool: str, words: Words) -> tuple[None, list[Words]]:
    settings = [word for word in words if not word.startswith("-")] or [""]
    return None, [(tool, "-w", _dotted(word)) for word in settings]


def _dotted(word: str) -> str:
    """NAME=VALUE with dots between the parts of the name, as sysctl(8) takes it with slashes as well."""
    name, equals, value = word.partition("=")
    if not equals:
        raise Misread("sysctl is to set something: sysctl -w NAME=VALUE")
    slashed = re.match(r"[^./]*/", name)
    swapped = name.translate(str.maketrans("./", "/.")) if slashed else name
    return f"{swapped.strip()}={value.strip()}"


_NFT_OBJECTS = ("table", "chain", "rule", "set", "map", "element", "ruleset")


_LONG = {
    "--append": "-A", "--insert": "-I", "--delete": "-D", "--replace": "-R", "--policy": "-P",
    "--flush": "-F", "--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d", "--jump": "-j",
    "--goto": "-g", "--protocol": "-p", "--proto": "-p", "--match": "-m", "--table": "-t",
    "--in-interface": "-i", "--out-interface": "-o",
}  # fmt: skip
_SILENT = ("-w", "--wait", "-v", "--verbose", "-n", "--concurrent")


def _iptables(tool: str, words: Words) -> tuple[None, list[Words]]:
    """Long options as short ones, the table first."""
    said = [_LONG.get(word, word) for word in those_not_in(words, _SILENT)]
    table = ["-t", "filter"]
    if "-t" in said:
        at = said.index("-t")
        table, said = said[at : at + 2], said[:at] + said[at + 2 :]
    if not said or said[0] in ("-L", "-S", "--list", "--list-rules"):
        raise Misread(f"`{tool}` changes nothing so")
    named = table if table[1:] != ["filter"] else []
    return None, [(tool, *named, *said)]


_FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")
_NFT_WORD = re.compile(r'"[^"]*"|\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|[^\s{}"]+|.', re.DOTALL)


def _nft(tool: str, words: Words) -> tuple[None, list[Words]]:
    """nft reads its arguments as one text; what stands in braces is one word, and a missing family is ip."""
    found = [*filter(str.strip, _NFT_WORD.findall(" ".join(words)))]
    if len(found) < 2 or found[0] in ("list", "-f", "monitor"):
        raise Misread("nft is to change something in words: nft add rule FAMILY TABLE CHAIN RULE")
    at = 1 + (found[1] in _NFT_OBJECTS)
    if found[1] != "ruleset" and not {*found[at : at + 1]} <= {*_FAMILIES}:
        found.insert(at, "ip")
    if found[:2] == ["replace", "rule"]:
        found[7:] = [" ".join(found[7:])]
    return None, [(tool, *found)]


def _as_it_is(tool: str, words: Words) -> tuple[None, list[Words]]:
    return None, [(tool, *words)]


_TOOLS: dict[str, Callable[[str, Words], tuple[str | None, list[Words]]]] = {
    "ip": _ip, "bridge": _iproute, "tc": _iproute, "sysctl": _sysctl, "nft": _nft, "conntrack": _as_it_is,
    "ipset": _as_it_is, **dict.fromkeys(TOOLS, _iptables),
}  # fmt: skip
