"""What a fix changes, as values: each object that its commands touch, as it is and as it would be. Pure.

The commands are carried out on the snapshot one by one, and what is otherwise then in the object that a
command is about is its change; what follows by itself - a carrier, the kernel's own routes - is left out. Of
a command whose effect is not known, or in which a word is for the reader to fill in, its words tell.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Cause, Changed, Command, Difference, Object, Report, Snapshot
from netprobe.model.lookup import among, those_not_in, where
from netprobe.predict.peers import mutual

from .apply import VERSIONS, carry_out, mend
from .apply_xtables import TOOLS, behind
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
    for command in where(cause.commands, looks=False):
        name = command.namespace or cause.place.namespace or ""
        form = _form(command)
        if form is None:
            continue
        after = carry_out(now, name, command) or now
        found = tuple(_differences(now, after, name, command, form))
        yield from map(_shown, found) if found else (_told(command, name, form, cause),)
        now = after


def _form(command: Command) -> _Form | None:
    """What a command is about; None where that is none of the machine's configuration."""
    words = _plain(command)
    return next((form for form in _FORMS if words[: len(form.words)] == form.words), None)


def _plain(command: Command) -> tuple[str, ...]:
    """The words without what says which family or table they are of."""
    words = command.words
    if words[:2] in VERSIONS:
        return ("ip", *words[2:])
    if words[0] in TOOLS and words[1:2] == ("-t",):
        return (words[0], *words[3:])
    return words


def _differences(
    before: Snapshot, after: Snapshot, name: str, command: Command, form: _Form
) -> Iterator[Difference]:
    """What is otherwise in the objects that the command names."""
    found = among(differences(before, after, name), kind=form.kinds)
    return (each for each in found if _is_named(each, command))


def _is_named(each: Difference, command: Command) -> bool:
    """Whether the command is about the object; an interface may take others with it, and a sysctl as well."""
    if each.kind in _OF_AN_INTERFACE:
        return each.name == _interface(command)
    return each.kind != "sysctl" or any(word.startswith(f"{each.name}=") for word in command.words)


def _interface(command: Command) -> str | None:
    """The interface that a command is about: behind `dev`, or the first word behind `set`."""
    words = command.words
    word = "dev" if "dev" in words else "set"
    return next(iter(behind(words, word)), None)


def _shown(each: Difference) -> Changed:
    """The difference as an object, called as it is now; what has no text beside its name is told by that."""
    made = as_object(each if each.before is None else replace(each, after=None))
    before, after = (_side(made, side) for side in (each.before, each.after))
    return replace(made, text=before or made.id, before=before, after=after)


def _side(made: Changed, text: str | None) -> str | None:
    """What an object was or is; what stands on an interface is gone when nothing is said of it."""
    if text is None or made.kind in _OF_AN_INTERFACE:
        return text
    if made.kind in _NAMED:
        return f"{made.id} {text}".strip()
    return text or None


def _told(command: Command, name: str, form: _Form, cause: Cause) -> Changed:
    """The change as the words tell it; what is taken away is most often what the cause names."""
    words, kind = _plain(command), form.kinds[0]
    rest = words[len(form.words) :]
    verbs = (_COMES | _GOES).intersection(words[1:])
    if kind == "sysctl":
        key, _, value = rest[0].partition("=")
        return Changed(kind, key, f"{key} = {value}", namespace=name, after=value)
    if form.kinds == ("link",) and not verbs:  # ip link set dev IFACE …
        interface, *wanted = those_not_in(rest, ("set", "dev"))
        return Changed(kind, interface, " ".join(words), namespace=name, after=" ".join(wanted))
    id = " ".join(those_not_in(rest, verbs))
    if not verbs & _GOES:
        return Changed(kind, id, " ".join(words), namespace=name, after=id)
    gone = cause.object or Object("", "")
    if gone.kind in form.kinds:
        said = gone.text or gone.id
        return Changed(gone.kind, gone.id, said, namespace=name, before=said)
    return Changed(kind, id, " ".join(words), namespace=name, before=id)
