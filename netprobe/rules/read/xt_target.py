"""The targets of iptables-extensions(8), from their arguments to statements in nft's vocabulary.

A name that is a chain of the same table is a jump; one that is neither known here nor a chain is a statement
"unknown".
"""

# ruff: noqa: ARG001 - the functions of one table take the same arguments
from __future__ import annotations

from collections.abc import Callable, Collection

from netprobe.model import Statement, Term

from .arguments import Block
from .terms import key, masked, note, unknown, value
from .xt_match import FULL, mark_and_mask

Reader = Callable[[Block, str], list[Statement] | None]

OPTIONAL = {"optional": ""}  # without a connection CONNMARK does nothing, and the rule goes on
VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "RETURN": "return"}
NO_EFFECT = frozenset(
    ("LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "TCPOPTSTRIP", "ECN", "CLASSIFY", "CHECKSUM", "SET",
    "SECMARK", "CONNSECMARK",
     "IDLETIMER", "LED", "RATEEST", "TEE", "HMARK", "nflog", "log", "CONTINUE")
)  # fmt: skip


def read_target(block: Block, ip: str, chains: Collection[str]) -> list[Statement]:
    """The statements that a target means; `chains` are the names of the table's chains."""
    if block.name in chains:
        return [Statement("goto" if block.kind == "goto" else "jump", target=block.name)]
    if block.name in VERDICTS:
        return [Statement(VERDICTS[block.name])]
    if block.name in NO_EFFECT:
        return [note(block.text())]
    reader = TARGETS.get(block.name)
    try:
        found = reader(block, ip) if reader else None
    except (ValueError, IndexError):
        found = None
    return [unknown(block.text())] if found is None else found


def is_target(name: str) -> bool:
    """Whether a name is that of a target that is understood here."""
    return name in VERDICTS or name in NO_EFFECT or name in TARGETS


def _flip(term: Term, clear: int, toggle: int) -> Term:
    """`(term & ~clear) ^ toggle`, leaving out what changes nothing."""
    kept = masked(term, FULL & ~clear, FULL) if clear != FULL else value("0")
    if not toggle:
        return kept
    return value(str(toggle)) if clear == FULL else Term("^", args=(kept, value(str(toggle))))


def _mark(block: Block, ip: str) -> list[Statement] | None:
    [(_, name, [text])] = block.options
    number, mask = mark_and_mask(text)
    mark = key("meta mark")
    change = {
        "--set-xmark": lambda: _flip(mark, mask, number),
        "--set-mark": lambda: _flip(mark, mask | number, number),
        "--and-mark": lambda: Term("&", args=(mark, value(str(number)))),
        "--or-mark": lambda: Term("|", args=(mark, value(str(number)))),
        "--xor-mark": lambda: Term("^", args=(mark, value(str(number)))),
    }.get(name)
    return [Statement("set", mark, right=change())] if change else None


def _connmark(block: Block, ip: str) -> list[Statement] | None:
    name = block.options[0][1]
    ct, mark = key("ct mark"), key("meta mark")
    nfmask, ctmask = (int(block.value(side) or str(FULL), 0) for side in ("--nfmask", "--ctmask"))
    if name in ("--set-xmark", "--set-mark"):
        number, mask = mark_and_mask(block.options[0][2][0])
        return [
            Statement(
                "set",
                ct,
                right=_flip(ct, mask if name == "--set-xmark" else mask | number, number),
                options=OPTIONAL,
            )
        ]
    if name == "--save-mark":
        return [Statement("set", ct, right=_mixed(ct, ctmask, mark, nfmask), options=OPTIONAL)]
    if name == "--restore-mark":
        return [Statement("set", mark, right=_mixed(mark, nfmask, ct, ctmask), options=OPTIONAL)]
    return None


def _mixed(old: Term, clear: int, new: Term, keep: int) -> Term:
    """`(old & ~clear) ^ (new & keep)`: xt_connmark's save and restore."""
    added = masked(new, keep, FULL)
    return added if clear == FULL else Term("^", args=(masked(old, FULL & ~clear, FULL), added))


_ZONES = {"--zone": "zone", "--zone-orig": "original zone", "--zone-reply": "reply zone"}


def _ct(block: Block, ip: str) -> list[Statement] | None:
    if block.name == "NOTRACK" or block.flag("--notrack"):
        return [Statement("notrack")]
    found = []
    for _, name, values in block.options:
        if name in _ZONES:
            zone = key("meta mark") if values[0] == "mark" else value(values[0])
            found.append(
                Statement(
                    "set",
                    key(f"ct {_ZONES[name]}"),
                    right=zone,
                )
            )
    return found or [note(block.text())]


def _address_and_port(text: str) -> tuple[Term | None, Term | None]:
    """`10.0.0.1-10.0.0.9:80-90` or `[fd00::1]:80` taken apart; either half may be missing."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        port = port.lstrip(":")
    elif text.count(":") > 1:
        address, port = text, ""
    else:
        address, _, port = text.partition(":")
    port = port.partition("/")[0]
    return _given(address.replace("]-[", "-")), _given(port)


def _given(text: str | None) -> Term | None:
    """A literal; None where there is none."""
    return value(text) if text else None


def _nat(block: Block, ip: str) -> list[Statement] | None:
    addresses = [
        values[0] for _, name, values in block.options if name in ("--to-source", "--to-destination", "--to")
    ]
    only_ports = (None, _given(block.value("--to-ports")))
    flags = {name[2:]: "" for _, name, values in block.options if not values}
    kind = {
        "SNAT": "snat",
        "DNAT": "dnat",
        "MASQUERADE": "masquerade",
        "REDIRECT": "redirect",
        "NETMAP": "netmap",
    }[block.name]
    address, port = _address_and_port(addresses[0]) if addresses else only_ports
    return [Statement(kind, right=address, port=port, options=flags, text=block.text())]


def _tproxy(block: Block, ip: str) -> list[Statement] | None:
    found = [
        Statement(
            "tproxy",
            right=_given(block.value("--on-ip")),
            port=_given(block.value("--on-port")),
            options={"drop": "no socket"},
            text=block.text(),
        )
    ]
    mark = block.value("--tproxy-mark")
    if mark:
        number, mask = mark_and_mask(mark)
        found.append(Statement("set", key("meta mark"), right=_flip(key("meta mark"), mask, number)))
    return [*found, Statement("accept")]


def _reject(block: Block, ip: str) -> list[Statement] | None:
    default = "icmp-port-unreachable" if ip == "ip" else "icmp6-port-unreachable"
    return [Statement("reject", options={"with": block.value("--reject-with") or default})]


def _hops(block: Block, ip: str) -> list[Statement] | None:
    [(_, name, [text])] = block.options
    hops = key("ip ttl" if block.name == "TTL" else "ip6 hoplimit")
    how = name.rpartition("-")[2]
    return [
        Statement(
            "set",
            hops,
            right=(
                value(text) if how == "set" else Term("+" if how == "inc" else "-", args=(hops, value(text)))
            ),
        )
    ]


def _dscp(block: Block, ip: str) -> list[Statement] | None:
    text = block.value("--set-dscp") or block.value("--set-dscp-class")
    return [Statement("set", key(f"{ip} dscp"), right=value(text.lower()))] if text else None


def _tos(block: Block, ip: str) -> list[Statement] | None:
    number, mask = mark_and_mask(block.value("--set-tos") or "")
    return [Statement("set", key(f"{ip} tos"), right=_flip(key(f"{ip} tos"), mask & 0xFF, number))]


def _queue(block: Block, ip: str) -> list[Statement] | None:
    numbers = block.value("--queue-num") or block.value("--queue-balance") or "0"
    bypass = {"bypass": ""} if block.flag("--queue-bypass") else {}
    return [Statement("queue", right=value(numbers.replace(":", "-")), options=bypass)]


def _tcpmss(block: Block, ip: str) -> list[Statement] | None:
    return [Statement("set", key("tcp option maxseg size"), right=value(block.value("--set-mss") or "0"))]


def _synproxy(block: Block, ip: str) -> list[Statement] | None:
    return [Statement("stolen", text=block.text())]


TARGETS: dict[str, Reader] = {
    "MARK": _mark, "CONNMARK": _connmark, "CT": _ct, "NOTRACK": _ct,
    "SNAT": _nat, "DNAT": _nat, "MASQUERADE": _nat, "REDIRECT": _nat, "NETMAP": _nat, "TPROXY": _tproxy,
    "REJECT": _reject, "TTL": _hops, "HL": _hops, "DSCP": _dscp, "TOS": _tos, "NFQUEUE": _queue,
    "QUEUE": _queue,
    "SYNPROXY": _synproxy, "TCPMSS": _tcpmss,
}  # fmt: skip
