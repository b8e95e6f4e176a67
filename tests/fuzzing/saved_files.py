"""Saved files as nobody saved them: seeded mutations of real captures and reports, through `show` and `diff` in every format."""

from __future__ import annotations

import copy
import json
import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from netprobe.codec import report_to_json, run_from_json
from netprobe.render.pcapng_blocks import read, write

from .outcome import Outcome

PROJECT = Path(__file__).resolve().parents[2]
SEEDS = (PROJECT / "captures/samples", PROJECT / "tests/faults/recordings")
OUTPUTS = ("text", "wide", "json", "markdown", "html", "svg")

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 10**400, 1.5, -0.0, 1e308, "",
    " ", "0", "-1", "\n",
    "\x1b[2J", "a" * 10_000, "\u202e", "\\udcff", "\\x5c", "::", "0.0.0.0", "255.255.255.255", "1.2.3", "fe80::1%eth0", "::ffff:1.2.3.4",
    "1" * 5000, "٣", "😀", "icmp", "tcp", "nd", "arp", "drop", "deliver", "host", "red", "ff:ff:ff:ff:ff:ff", "not a mac", "0x10", "%s",
    [], {}, [[]], [None], {"": None}, [0] * 1000,
)  # fmt: skip
"""Values that a place may hold instead of its own."""


def seeds() -> list[bytes]:
    """Real captures, in the order of their names."""
    return [file.read_bytes() for folder in SEEDS for file in sorted(folder.glob("*.pcapng"))]


def mutations(count: int, seed: int) -> Iterator[tuple[str, bytes, bytes]]:
    """`count` times: a name that tells how it was made, the mutated file, and the whole one that it came from."""
    pool = seeds()
    for number in range(count):
        dice = random.Random(f"{seed}/{number}")
        whole = dice.choice(pool)
        how = dice.choice((_bytes_changed, _run_changed, _run_changed, _report_changed, _report_changed, _text_changed))
        yield f"--seed {seed} case {number} {how.__name__.strip('_')}", how(dice, whole), whole


def _bytes_changed(dice: random.Random, whole: bytes) -> bytes:
    """The capture with bytes changed, lost, or repeated."""
    data = bytearray(whole)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(data)) if dice.random() < 0.5 else dice.randrange(min(len(data), 256))
        match dice.randrange(5):
            case 0:
                data[at] = dice.randrange(256)
            case 1:
                data[at : at + 4] = dice.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\x01\0\0\0"))
            case 2:
                del data[at : at + dice.randint(1, 64)]
            case 3:
                data[at:at] = data[at : at + dice.randint(1, 256)]
            case _:
                data[at] ^= 1 << dice.randrange(8)
        if not data:
            return b""
    return bytes(data)


def _run_changed(dice: random.Random, whole: bytes) -> bytes:
    """The capture with values of the run in it replaced."""
    capture = read(whole)
    return write(replace(capture, run=_values_changed(dice, capture.run or b"{}")))


def _report_changed(dice: random.Random, whole: bytes) -> bytes:
    """The report alone, as `-o json` prints it, with values replaced."""
    return _values_changed(dice, report_to_json(run_from_json(read(whole).run or b"").report))


def _text_changed(dice: random.Random, whole: bytes) -> bytes:
    """The run as JSON text with one of its tokens replaced, whatever becomes of the syntax."""
    text = read(whole).run or b""
    tokens = list(re.finditer(rb'"[^"]*"|-?[0-9]+|[\[\]{},:]|true|false|null', text))
    data = bytearray(text)
    for token in sorted(dice.sample(tokens, dice.randint(1, 3)), key=lambda t: -t.start()):
        data[token.start() : token.end()] = dice.choice(tokens)[0] if dice.random() < 0.5 else json.dumps(dice.choice(ODD)).encode()
    if dice.random() < 0.1:
        return write(replace(read(whole), run=bytes(data)))
    return bytes(data)


def _values_changed(dice: random.Random, text: bytes) -> bytes:
    tree = json.loads(text)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 6))):
        _change(dice, tree)
    return json.dumps(tree).encode()


def _change(dice: random.Random, tree: Any) -> None:
    """One place of the tree, any with the same chance at each branching, gets another value, or loses or repeats one."""
    places = list(_places(tree))
    holder, key = dice.choice(places)
    match dice.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder[key:key] = [copy.deepcopy(holder[key])] * dice.choice((1, 2, 100))
        case 2:
            holder[key] = copy.deepcopy(dice.choice(_alike(holder[key], [other[name] for other, name in places])))
        case 3 if isinstance(holder[key], str):
            holder[key] = _text(dice, holder[key])
        case 4 if isinstance(holder[key], int):
            holder[key] = holder[key] + dice.choice((-1, 1, -(2**31), 2**32, 2**62))
        case 5 if dice.random() < 0.2:
            holder[key] = _nested(dice, holder[key])
        case 6:
            holder[key] = dice.choice(ODD)
        case _:
            holder[key] = dice.choice(_alike(holder[key], ODD))


def _alike(value: Any, values: Sequence[Any]) -> Sequence[Any]:
    """Those of the values that are of the same type, so that the decoder lets them pass; all where there is none."""
    return [other for other in values if type(other) is type(value)] or values


def _text(dice: random.Random, text: str) -> str:
    """Text with one character changed, lost or doubled."""
    at = dice.randint(0, len(text))
    return text[:at] + dice.choice(("", text[at : at + 1] * 2, dice.choice("\0 /:.%[]{}-\x7f\u2028\U000e0001é9"))) + text[at + 1 :]


def _nested(dice: random.Random, value: Any) -> Any:
    """The value deep inside lists, or inside what holds values of its own kind."""
    key = dice.choice((None, "outer", "because"))
    for _ in range(dice.choice((3, 60, 400))):
        value = [value] if key is None else {**value, key: value} if isinstance(value, dict) else [value]
    return value


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every (list or dict, key) of a tree."""
    waiting = [tree]
    while waiting:
        holder = waiting.pop()
        for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder) if isinstance(holder, list) else ():
            yield holder, key
            if isinstance(value, (dict, list)):
                waiting.append(value)


def fuzz(count: int, seed: int, outputs: Sequence[str] = OUTPUTS) -> Outcome:
    """Show each mutated file in every format, and compare it with the file that it was."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="netprobe-fuzz-") as folder:
        odd, whole = Path(folder, "odd"), Path(folder, "whole")
        for name, data, original in mutations(count, seed):
            odd.write_bytes(data)
            whole.write_bytes(original)
            for output in outputs:
                outcome.run(f"{name} show -o {output}", ["show", str(odd), "-o", output])
            outcome.run(f"{name} diff", ["diff", str(odd), str(whole)])
            outcome.run(f"{name} diff -o json", ["diff", str(whole), str(odd), "-o", "json"])
    return outcome
