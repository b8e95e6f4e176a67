"""What a fix changes, as values: each object that its commands touch, as it is and as it would be. Pure.

The commands are carried out on the snapshot one by one, and what is otherwise then in the object that a
command is about is its change; what follows by itself - a carrier, the kernel's own routes - is left out. Of
a command whose effect is not known, or in which a word is for the reader to fill in, its words tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Cause, Changed, Command, Difference, Report, Snapshot
from netprobe.predict.peers import mutual

from .apply import carry_out, mend
from .apply_xtables import TOOLS
from .diff import differences
from .since import as_object

_RULES = ("rule", "nat-rule")
_COMES, _GOES = {"add", "append", "insert", "-A", "-I"}, {"del", "delete", "-D"}


class _Form(Struct, frozen=True):
    """Commands that begin with `words`, and the kinds of what they change; the first is what it is called."""

    words: tuple[str, ...]
    kinds: tuple[str, ...]


_FORMS = (
    _Form(("ip", "link"), ("link",)),
    _Form(("bridge", "link", "set"), ("bridge-port",)),
    _Form(("bridge", "fdb"), ("fdb-entry",)),
    _Form(("tc", "filter"), ("tc-filter", "link")),
    _Form(("tc", "qdisc"), ("qdisc", "link")),
    _Form(("ip", "address"), ("address",)),
    _Form(("ip", "addr"), ("address",)),
    _Form(("ip", "route"), ("route",)),
    _Form(("ip", "rule"), ("policy-rule",)),
    _Form(("ip", "neigh"), ("neighbour",)),
    _Form(("sysctl", "-w"), ("sysctl",)),
    _Form(("ip", "xfrm", "policy"), ("xfrm",)),
    _Form(("conntrack",), ("conntrack",)),
    _Form(("nft", "chain"), ("policy",)),
    _Form(("nft",), _RULES),
    *(_Form((tool, "-P"), ("policy",)) for tool in TOOLS),
    *(_Form((tool,), _RULES) for tool in TOOLS),
)
# told apart by their names: what is beside that is a flag
_NAMED = {"address", "policy-rule", "socket"}
_OF_AN_INTERFACE = {"link", "bridge-port"}


def with_changes(report: Report, snapshot: Snapshot) -> Report:
    """The report with the changes of every cause that it would have a person mend: `snapshot` for the first
    and for each alternative, and for a blocker as it is when those before it are mended.
    """
    if not report.causes:
        return report
    causes = (_with(report.causes[0], snapshot), *report.causes[1:])
    others = tuple(_with(cause, snapshot) for cause in report.alternatives)
    blockers, before = [], report.causes[0]
    for cause in report.blockers:
        snapshot, before = mend(snapshot, before) or snapshot, cause
        blockers.append(_with(cause, snapshot))
    return replace(report, causes=causes, alternatives=others, blockers=tuple(blockers))


def _with(cause: Cause, snapshot: Snapshot) -> Cause:
    return replace(cause, changes=tuple(_changes(snapshot, cause)))


def _changes(snapshot: Snapshot, cause: Cause) -> Iterator[Changed]:
    """What each command changes, in their order."""
    now = mutual(snapshot)
    for command in cause.commands:
        name = command.namespace or cause.place.namespace or ""
        form = _form(command)
        if form is None or command.looks:
            continue
        after = carry_out(now, name, command)
        found = tuple(_differences(now, after, name, command, form)) if after is not None else ()
        yield from map(_shown, found) if found else (_told(command, name, form, cause),)
        now = after or now


def _form(command: Command) -> _Form | None:
    """What a command is about; None where that is none of the machine's configuration."""
    words = _plain(command)
    return next((form for form in _FORMS if words[: len(form.words)] == form.words), None)


def _plain(command: Command) -> tuple[str, ...]:
    """The words without what says which family or table they are of."""
    words = command.words
    if words[:2] == ("ip", "-6"):
        return ("ip", *words[2:])
    return (words[0], *words[3:]) if words[0] in TOOLS and words[1:2] == ("-t",) else words


def _differences(
    before: Snapshot, after: Snapshot, name: str, command: Command, form: _Form
) -> Iterator[Difference]:
    """What is otherwise in the objects that the command names."""
    for each in differences(before, after, name):
        if each.kind in form.kinds and _is_named(each, command):
            yield each


def _is_named(each: Difference, command: Command) -> bool:
    """Whether the command is about the object; an interface may take others with it, and a sysctl as well."""
    if each.kind in _OF_AN_INTERFACE:
        return each.name == _interface(command)
    return each.kind != "sysctl" or any(word.startswith(f"{each.name}=") for word in command.words)


def _interface(command: Command) -> str | None:
    """The interface that a command is about: behind `dev`, or the first word behind `set`."""
    words = command.words
    word = "dev" if "dev" in words else "set"
    return next((after for before, after in pairwise(words) if before == word), None)


def _shown(each: Difference) -> Changed:
    """The difference as an object, called as it is now; what has no text beside its name is told by that."""
    made = as_object(replace(each, after=None) if each.before is not None else each)
    before, after = each.before, each.after
    if made.kind in _NAMED:
        before, after = (None if side is None else f"{made.id} {side}".strip() for side in (before, after))
    elif made.kind not in _OF_AN_INTERFACE:  # what stands on an interface is gone when nothing is said of it
        before, after = before or None, after or None
    return replace(made, text=before or made.id, before=before, after=after)


def _told(command: Command, name: str, form: _Form, cause: Cause) -> Changed:
    """The change as the words tell it; what is taken away is most often what the cause names."""
    words = _plain(command)
    rest = words[len(form.words) :]
    if form.kinds[0] == "sysctl":
        key, _, value = rest[0].partition("=")
        return Changed("sysctl", key, f"{key} = {value}", namespace=name, after=value)
    verb = next((word for word in words[1:] if word in _COMES | _GOES), "")
    if form.kinds == ("link",) and not verb:  # ip link set dev IFACE …
        interface, *wanted = [word for word in rest if word not in ("set", "dev")]
        return Changed("link", interface, " ".join(words), namespace=name, after=" ".join(wanted))
    thing = cause.object
    if thing is not None and thing.kind in form.kinds and verb in _GOES:
        said = thing.text or thing.id
        return Changed(thing.kind, thing.id, said, namespace=name, before=said)
    id = " ".join(word for word in rest if word != verb)
    before, after = (id, None) if verb in _GOES else (None, id)
    return Changed(form.kinds[0], id, " ".join(words), namespace=name, before=before, after=after)
