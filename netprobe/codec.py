"""Values <-> JSON: the report that scripts read, saved runs, and the JSON Schema made from the types.

Rules of this file: keys stand in the order of the contract; times are integer ns; frames are base64; the
bytes are valid UTF-8 whatever a namespace or an interface is called. A name that is not UTF-8 reaches us with
surrogates (PEP 383), which JSON cannot carry; they are written as `\\xff` and read back exactly.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import structs
from msgspec.structs import fields

from .errors import WrongQuestion
from .model import Comparison, Page, Report, Run, Space, Verdict
from .model.check import CheckReport, Status
from .model.command import lines
from .model.examination import Examination
from .model.live import Event
from .model.matrix import Matrix, PairGroup
from .model.wiring import Wiring

T = TypeVar("T")

RUN_SCHEMA = "netprobe.run/1"

# The keys that every report has, in the order in which they are written; what else a report holds stands
# behind them.
_CONTRACT = (
    "schema", "command", "probe", "verdict", "direction", "summary", "sent", "received", "rtt_ns", "path",
    "causes", "blockers",
    "agreement", "blind", "capture", "timings",
)  # fmt: skip

_MEANING = {
    "schema": "names this format; changes within it are additive",
    "command": "the command that made the report: trace, ping, arping, why, ...",
    "verdict": "the answer",
    "direction": "the direction that is broken; null when neither is, or when it is not known",
    "summary": "the answer in one sentence",
    "sent": "probes sent; of an incomplete run those that are decided",
    "received": "probes answered",
    "rtt_ns": "round trip times of the answered probes, in ns, in order",
    "path": "the hops of both directions, predicted and observed side by side",
    "causes": "causes[0] is the root: the one thing a person must change; its symptoms stand behind it",
    "blockers": (
        "further causes on the same path that would stop the probe after the first is mended (predicted)"
    ),
    "alternatives": "other repairs that alone would do as well, each with the reason why it comes second",
    "since": "an earlier good run of the same question, and what is otherwise since then; else null",
    "agreement": "how prediction and observation stand to each other",
    "blind": "what could not be read, and why",
    "capture": "the capture file of this run, or null",
    "timings": "how long the parts of the run took, in ns",
    "errors": "ICMP errors about the probe that came back",
    "answers": "arping: every answer of a station",
    "sightings": "every captured frame, in the order and number of the capture",
    "complete": (
        "false: the run was interrupted, before all of probe.count were decided or before the cause was found"
    ),
    "rules": "the firewall rules that matched on the predicted way, hook by hook, whatever they said",
    "notes": "further remarks, in sentences",
}

_OF_A_CAUSE = {
    "fix": "lines for the shell that netprobe was started from; one that cannot run so is a comment",
    "commands": "the same as words, each with the namespace that it is for",
    "changes": "what the commands change, object by object: as it is (before) and as it would be (after)",
    "advice": "what no command does",
    "reason": "of an alternative: why it comes second",
}


def report_to_json(report: Report) -> bytes:
    """The report as one line of UTF-8 JSON, keys in the order of the contract."""
    return _encode(_ordered(report))


def report_from_json(data: bytes, where: str = "") -> Report:
    """The report in `data`; unknown keys are ignored.

    Raises WrongQuestion, which names `where` (a file) and the place in it.
    """
    return _decode(data, Report, where)


def run_to_json(run: Run) -> bytes:
    """A whole run as one line of JSON: report, snapshot and observations; frames are base64."""
    made = {
        "schema": RUN_SCHEMA,
        "started_ns": run.started_ns,
        "report": _ordered(run.report),
        "snapshot": run.snapshot,
        "observations": run.observations,
        "tapped": run.tapped,
    }
    return _encode(made if run.earlier is None else {**made, "earlier": run.earlier})


def run_from_json(data: bytes, where: str = "") -> Run:
    """The saved run in `data`. Raises WrongQuestion, which names `where` (a file) and the place in it."""
    return _decode(data, Run, where)


def saved_from_json(data: bytes, where: str = "") -> Report | Run:
    """Whichever of the two `data` holds: a saved run or a report alone.

    Raises WrongQuestion for anything else.
    """
    schema = _decode(data, _Labelled, where).schema
    return run_from_json(data, where) if schema == RUN_SCHEMA else report_from_json(data, where)


def schema() -> bytes:
    """The JSON Schema (draft 2020-12) of the report, made from the types."""
    made = msgspec.json.schema(Report)
    report = made["$defs"]["Report"]
    report["properties"] = {key: {**report["properties"][key], **_meaning(key)} for key in _keys()}
    report["required"] = list(_CONTRACT)
    cause = made["$defs"]["Cause"]["properties"]
    cause.update({key: {**cause[key], "description": said} for key, said in _OF_A_CAUSE.items()})
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:netprobe:report:1",
        "title": "netprobe.report/1",
    }
    return msgspec.json.format(msgspec.json.encode({**head, **made}), indent=2) + b"\n"


def check_schema() -> bytes:
    """The JSON Schema (draft 2020-12) of what became of expectations, made from the types."""
    made = msgspec.json.schema(CheckReport)
    number = {"type": "integer"}
    counts = {"type": "object", "properties": {status.value: number for status in Status}}
    made["$defs"]["CheckReport"]["properties"]["counts"] = counts
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:netprobe:check:1",
        "title": "netprobe.check/1",
    }
    return msgspec.json.format(msgspec.json.encode({**head, **made}), indent=2) + b"\n"


def wiring_schema() -> bytes:
    """The JSON Schema (draft 2020-12) of a map, made from the types."""
    made = msgspec.json.schema(Wiring)
    whole = made["$defs"]["Wiring"]
    del whole["properties"]["groups"], made["$defs"]["SpaceGroup"]
    whole["required"] = list(whole["properties"])
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:netprobe:map:1",
        "title": "netprobe.map/1",
    }
    return msgspec.json.format(msgspec.json.encode({**head, **made}), indent=2) + b"\n"


def event_to_json(event: Event) -> bytes:
    """An event of a watch, as one line of UTF-8 JSON."""
    said = msgspec.to_builtins(event)
    return _encode({"schema": said["schema"], **said})


def watch_schema() -> bytes:
    """The JSON Schema (draft 2020-12) of a line of `--watch -o jsonl`, made from the types."""
    made = msgspec.json.schema(Event)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:netprobe:watch:1",
        "title": "netprobe.watch/1",
    }
    return msgspec.json.format(msgspec.json.encode({**head, **made}), indent=2) + b"\n"


def wiring_to_json(wiring: Wiring) -> bytes:
    """The wiring of a machine, all of it, as one line of UTF-8 JSON."""
    keys = ("schema", "command", "asked", "spaces", "wires", "path", "blind")
    return _encode({key: getattr(wiring, key) for key in keys})


def _meaning(key: str) -> dict[str, str]:
    return {"description": _MEANING[key]} if key in _MEANING else {}


def spaces_to_json(spaces: Sequence[Space]) -> bytes:
    """What `netprobe ls` lists, as one line of UTF-8 JSON."""
    return _encode({"schema": "netprobe.spaces/1", "spaces": spaces})


def examination_to_json(examination: Examination) -> bytes:
    """What `netprobe doctor` has found, as one line of UTF-8 JSON; `help` are the lines to type."""
    findings = [
        {
            **{key: getattr(each, key) for key in ("subject", "state", "fact", "effect")},
            "help": [] if each.help is None else list(map(str, lines((each.help,)))),
            "command": None if each.help is None else each.help.words or None,
        }
        for each in examination.findings
    ]
    return _encode({"schema": "netprobe.doctor/1", "state": examination.state, "findings": findings})


def pages_to_json(pages: Sequence[Page]) -> bytes:
    """Pages of the handbook of causes, as one line of UTF-8 JSON."""
    return _encode({"schema": "netprobe.causes/1", "causes": pages})


def comparison_to_json(before: Report, after: Report, found: Comparison) -> bytes:
    """What two runs differ in, as one line of UTF-8 JSON."""
    made = {
        "schema": "netprobe.diff/1",
        "same": found.same,
        "before": _identity(before),
        "after": _identity(after),
    }
    return _encode({**made, "answer": found.answer, "configuration": found.configuration, "once": found.once})


def check_to_json(report: CheckReport) -> bytes:
    """What became of expectations, as one line of UTF-8 JSON; each report in it is as `report_to_json` writes
    it.
    """
    counts = {status.value: report.count(status) for status in Status}
    made = {
        "schema": report.schema,
        "complete": report.complete,
        "expected": report.expected,
        "counts": counts,
    }
    results = [
        {**structs.asdict(each), "report": None if each.report is None else _ordered(each.report)}
        for each in report.results
    ]
    more = {"recording": report.recording, "changes": report.changes, "results": results}
    return _encode({**made, **more})


def matrix_to_json(matrix: Matrix) -> bytes:
    """Who reaches whom, as one line of UTF-8 JSON: all pairs that were asked, and the causes of those that
    fail; `group` of a pair is a place in `groups`.
    """
    groups = {pair: n for n, group in enumerate(matrix.groups) for pair in group.pairs}
    names = [member.endpoint for member in matrix.members]
    pairs = [
        {
            "source": names[i],
            "destination": names[j],
            "verdict": verdict,
            "rtt_ns": matrix.rtt(i, j),
            "group": groups.get((i, j)),
        }
        for (i, j), verdict in matrix.asked()
    ]
    return _encode(
        {
            "schema": "netprobe.matrix/1",
            "command": "matrix",
            "protocol": matrix.protocol,
            "version": matrix.version,
            "port": matrix.port,
            "verdict": matrix.overall,
            "complete": matrix.complete,
            "sampled": matrix.sampled,
            "members": matrix.members,
            "counts": {verdict.value: matrix.count(verdict) for verdict in Verdict},
            "groups": [_group(names, group) for group in matrix.groups],
            "pairs": pairs,
            "blind": matrix.blind,
            "notes": matrix.notes,
            "retried": matrix.retried,
            "took_ns": matrix.took_ns,
        }
    )


def _group(names: Sequence[str], group: PairGroup) -> dict[str, Any]:
    return {
        "verdict": group.verdict,
        "summary": group.summary,
        "pairs": len(group.pairs),
        "searched": [names[n] for n in group.searched],
        "walked": group.walked,
        "by_design": group.intended,
        "cause": group.cause,
    }


def _identity(report: Report) -> dict[str, Any]:
    """Which run it was, and how it ended."""
    return {key: getattr(report, key) for key in ("command", "probe", "verdict", "summary", "capture")}


class _Labelled(msgspec.Struct):
    """The one key that tells a saved run from a report."""

    schema: str


def _ordered(report: Report) -> dict[str, Any]:
    """The report's fields, those of the contract first and in its order."""
    return {key: getattr(report, key) for key in _keys()}


def _keys() -> tuple[str, ...]:
    return tuple(dict.fromkeys((*_CONTRACT, *(field.name for field in fields(Report)))))


def _encode(value: dict[str, Any]) -> bytes:
    """One line of JSON that is safe to show: names may hold what a terminal obeys, which JSON can write as an
    escape.
    """
    data = _encoded(value)
    if data.isascii() and b"\x7f" not in data:  # msgspec escapes what is below the space
        return data
    text = data.decode()
    return data if text.isprintable() else "".join(map(_shown, text)).encode()


def _shown(char: str) -> str:
    """The character, or its number as JSON writes it: in units of UTF-16."""
    if char.isprintable():
        return char
    return "".join(f"\\u{unit:04x}" for (unit,) in struct.iter_unpack(">H", char.encode("utf-16-be")))


def _encoded(value: dict[str, Any]) -> bytes:
    try:
        data = msgspec.json.encode(value, enc_hook=dict)
        if b"\\\\" not in data:  # nothing that could be taken for one of our escapes
            return data
    except UnicodeEncodeError:
        pass
    return msgspec.json.encode(_mapped(msgspec.to_builtins(value, enc_hook=dict), _escaped))


def _decode(data: bytes, kind: type[T], where: str) -> T:
    try:
        if b"\\\\" not in data and b"\\u005" not in data:
            return msgspec.json.decode(data, type=kind)
        return msgspec.convert(_mapped(msgspec.json.decode(data), _unescaped), type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        hint = "Its captures (.pcapng) and what `-o json` prints can be read again."
        raise WrongQuestion(
            f"{where or 'this'} is not a saved run or report of netprobe: {error}", hint
        ) from error


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """The same tree of lists and dicts with every string changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mapped(item, change) for item in value]
    return value


# A surrogate becomes \xNN (the byte it stands for) or \uDNNN; a backslash that would read as such an escape
# becomes \x5c.
_TO_ESCAPE = re.compile(r"[\ud800-\udfff]|\\(?=x[89a-f][0-9a-f]|x5c|ud[89a-f][0-9a-f]{2})")
_ESCAPE = re.compile(r"\\(?:x([89a-f][0-9a-f]|5c)|u(d[89a-f][0-9a-f]{2}))")


def _escaped(text: str) -> str:
    return _TO_ESCAPE.sub(lambda match: _escape(match[0]), text)


def _escape(char: str) -> str:
    if char == "\\":
        return r"\x5c"
    return f"\\x{ord(char) - 0xDC00:02x}" if 0xDC80 <= ord(char) <= 0xDCFF else f"\\u{ord(char):04x}"


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _unescape(match[1], match[2]), text)


def _unescape(byte: str | None, unit: str | None) -> str:
    if byte == "5c":
        return "\\"
    return chr(0xDC00 + int(byte, 16)) if byte else chr(int(unit or "", 16))
