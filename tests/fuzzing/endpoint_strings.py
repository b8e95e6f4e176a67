"""Endpoints and options as nobody should write them: seeded strings through the grammar, the command line and the prediction."""

from __future__ import annotations

import random
from collections.abc import Iterator
from unittest.mock import patch

from netprobe.endpoint import KINDS, PROTOCOLS, parse
from netprobe.errors import WrongQuestion
from netprobe.linux import machine

from .outcome import Outcome
from .recorded_world import RecordedMachine

ADDRESSES = (
    "8.8.8.8", "10.0.0.1", "10.0.0.2", "10.0.0.255", "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "239.255.255.255",
    "240.0.0.1",
    "169.254.0.1", "256.1.1.1", "1.2.3", "1", "0x7f.1", "0x7f000001", "010.0.0.1", "1.2.3.4.5", "1.2.3.4.", "٣.٣.٣.٣", "::",
    "::1", "fd00:10::1",
    "fd00:10::2", "fe80::1", "fe80::aff:fe00:1", "fe80::aff:fe00:2", "ff02::1", "ff0e::1", "::ffff:8.8.8.8", "::8.8.8.8",
    "64:ff9b::808:808",
    "2002::1", "2001:db8::1", "fec0::1", ":::", "1::2::3", "fe80::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "FE80::1",
    "2001:4860:4860::8888",
)  # fmt: skip
NAMES = ("red", "host", "internet", "c1", "", ".", "..", "...", "-", "--help", "a" * 255, "a" * 256, "é", "\udcff", "\x1b[31m",
    " ", "\n", "nas.", "a.b", "localhost",
         "xn--", "%", "%s", "*", "$(id)", "1e5", "None")  # fmt: skip
INTERFACES = ("eth0", "br0", "veth0", "lo", "", ".", "..", "1", "2", "eth0.100", "a" * 15, "a" * 16, "\udcff", "e;id>pwn", "%")
PORTS = ("0", "1", "53", "80", "65535", "65536", "99999999999999999999", "-1", "+1", "٣", "http", "", "1 ", "1_0", "0x10")
JOINTS = (":", "/", "//", "@", "%", "[", "]", "", " ", "\0", ".", "::")
NUMBERS = (
    "0",
    "1",
    "-1",
    "1.5",
    "1e400",
    "inf",
    "nan",
    "",
    " ",
    "٣",
    "9" * 5000,
    "1_0",
    "0x1",
    "1ms",
    "1h",
    "999999999",
    "..",
    "1..5",
    "ms",
    "-0",
    "+1",
    "\udcff",
)
OPTIONS = {
    "-c": NUMBERS, "-W": NUMBERS, "-i": NUMBERS, "-s": NUMBERS, "--ttl": NUMBERS, "-P": PORTS, "--source-port": PORTS, "--mark": NUMBERS,
    "--uid": NUMBERS, "-p": (*PROTOCOLS, "", "sctp", "ICMP"), "--source-address": (*ADDRESSES, *NAMES, "fe80::1%eth0", "10.0.0.2%eth0"),
    "--exclude": NAMES, "-o": ("text", "wide", "json", "markdown", "html", "svg", "", "xml"),
}  # fmt: skip
FLAGS = ("-4", "-6", "--df", "--no-df")


def strings(count: int, seed: int) -> Iterator[str]:
    """`count` endpoints: well-formed ones, pieces in any order, and characters lost, doubled and exchanged in them."""
    for number in range(count):
        yield string(random.Random(f"{seed}/{number}"))


def string(dice: random.Random) -> str:
    """One endpoint."""
    made = _written(dice) if dice.random() < 0.7 else "".join(dice.choice(dice.choice(_PIECES)) for _ in range(dice.randint(1, 7)))
    while dice.random() < 0.3:
        made = _mutated(dice, made)
    if dice.random() < 0.01:
        made *= 10_000 // (len(made) or 1)
    return made


_PIECES = (ADDRESSES, NAMES, INTERFACES, PORTS, JOINTS, JOINTS, tuple(f"{kind}:" for kind in KINDS), tuple(PROTOCOLS))


def _written(dice: random.Random) -> str:
    """Something of the grammar's shape, whatever stands in its places."""
    if dice.random() < 0.5:
        zone = f"%{dice.choice(INTERFACES)}" if dice.random() < 0.3 else ""
        address = dice.choice(ADDRESSES) + zone
        made = f"[{address}]" if dice.random() < 0.3 else address
    else:
        made = f"{dice.choice(KINDS)}:" if dice.random() < 0.2 else ""
        made += dice.choice(NAMES if dice.random() < 0.5 else ("red", "host"))
        made += f"//{dice.choice(NAMES)}" if dice.random() < 0.1 else ""
        made += f"/{dice.choice(INTERFACES)}" if dice.random() < 0.3 else ""
        made += f"@{dice.choice(ADDRESSES)}" if dice.random() < 0.3 else ""
    made += f":{dice.choice(PORTS)}" if dice.random() < 0.3 else ""
    return made + (f"/{dice.choice((*PROTOCOLS, 'sctp', '24', ''))}" if dice.random() < 0.2 else "")


def _mutated(dice: random.Random, text: str) -> str:
    at = dice.randint(0, len(text))
    odd = chr(dice.choice((0, 9, 10, 27, 37, 47, 58, 64, 91, 93, 0x7F, 0x85, 0x660, 0x202E, 0xDC80, 0xD800, 0xFFFF, 0x1F600)))
    return text[:at] + dice.choice(("", odd, text[at : at + 1] * 2, dice.choice(JOINTS))) + text[at + dice.randint(0, 1) :]


def line(dice: random.Random, first: str, second: str) -> list[str]:
    """A command line about two endpoints."""
    argv = ["why"]
    for _ in range(dice.choice((0, 0, 0, 1, 2))):
        option = dice.choice((*OPTIONS, *FLAGS))
        argv += [option, dice.choice(OPTIONS[option])] if option in OPTIONS else [option]
    ends = (first, second) if dice.random() < 0.2 else ("red", second) if dice.random() < 0.5 else ("host", first)
    return [*argv, "--", *ends]


def fuzz(count: int, seed: int) -> Outcome:
    """Parse each string, and ask about it on the command line of a machine that is a recording."""
    outcome, before = Outcome(), "red"
    with patch.object(machine, "Machine", RecordedMachine):
        for number, text in enumerate(strings(count, seed)):
            name = f"--seed {seed} case {number} {text[:60]!a}"
            outcome.check(f"{name} parsed", lambda text=text: parse(text), (WrongQuestion,))  # type: ignore[misc]
            argv = line(random.Random(f"{seed}/{number}/line"), text, before)
            outcome.run(f"{name} {ascii(argv)[:200]}", argv)
            before = text
    return outcome
