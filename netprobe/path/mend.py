"""What a fix would change: a cause's commands, carried out on the snapshot instead of on the machine. Pure.

Known are commands whose effect is plain. One that is not known, or that still has a placeholder in it, makes the whole fix unknown:
half a fix proves nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from netprobe.model import Cause, Snapshot

from . import mend_links, mend_routes, mend_rules
from .order import Order
from .wiring import mutual

Step = Callable[[Order], Snapshot]

_AND_MORE = "# and "  # the comment of a command that is not the whole fix
_ELSEWHERE = re.compile(r"#\s*in (\S+)\s*$")
_KNOWN: tuple[tuple[tuple[str, ...], Step], ...] = (
    (("ip", "link", "set"), mend_links.set_link),
    (("bridge", "link", "set"), mend_links.set_port),
    (("bridge", "fdb"), mend_links.change_fdb),
    (("tc", "filter", "del"), mend_links.delete_filter),
    (("tc", "qdisc", "del"), mend_links.delete_qdisc),
    (("ip", "address"), mend_routes.change_address),
    (("ip", "addr"), mend_routes.change_address),
    (("ip", "route"), mend_routes.change_route),
    (("ip", "rule"), mend_routes.change_policy_rule),
    (("ip", "neigh", "del"), mend_routes.delete_neighbour),
    (("sysctl", "-w"), mend_routes.set_sysctl),
    (("ip", "xfrm", "policy", "delete"), mend_rules.delete_ipsec_policy),
    (("conntrack", "-D"), mend_rules.delete_connection),
    (("nft",), mend_rules.nft),
    *(((tool,), mend_rules.iptables) for tool in mend_rules.TOOLS),
)


def mend(snapshot: Snapshot, cause: Cause) -> Snapshot | None:
    """The snapshot as it would be after the cause's fix; None where that cannot be told, or where nothing would change."""
    mended = snapshot = mutual(snapshot)
    for line in cause.fix:
        if _AND_MORE in line:
            return None
        for words in _commands(line):
            after = _carry_out(mended, _where(line, cause), words)
            if after is None:
                return None
            mended = after
    changed = {name for name, namespace in mended.namespaces.items() if namespace != snapshot.namespaces.get(name)}
    # What the kernel answered to route lookups held for the namespace as it was.
    kept = tuple(asked for asked in mended.answers if asked.namespace not in changed)
    return replace(mended, answers=kept) if changed else None


def _where(line: str, cause: Cause) -> str:
    """The namespace in which a command is to be run: its comment's, else that of the cause."""
    named = _ELSEWHERE.search(line)
    return named[1] if named else cause.place.namespace or ""


def _commands(line: str) -> Iterator[list[str]]:
    """The words of each command in a line; comments are dropped, `;` and `&&` divide. A line that is no shell gives [""]."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=";&")
    reader.whitespace_split = True
    words: list[str] = []
    try:
        for word in reader:
            if word and set(word) <= {";", "&"}:
                yield words
                words = []
            else:
                words.append(word)
    except ValueError:  # an open quote
        words = [""]
    if words:
        yield words


def _carry_out(snapshot: Snapshot, name: str, words: list[str]) -> Snapshot | None:
    """One command; None when it is not known, or names what is not there."""
    six = words[:1] == ["ip"] and "-6" in words[:2]
    plain = [words[0], *words[2:]] if six else words
    step, used = next(((step, len(known)) for known, step in _KNOWN if tuple(plain[: len(known)]) == known), (None, 0))
    if step is None or name not in snapshot:
        return None
    try:
        return step(Order(snapshot, name, plain[0], tuple(plain[used:]), six))
    except (KeyError, ValueError, IndexError):  # a word that is no number or address: a placeholder, or a form that is not known
        return None
