"""The parts of a report around its table, each a list of finished lines; empty when there is nothing to
say.
"""

from __future__ import annotations

from collections.abc import Set

from msgspec.structs import replace

from netprobe.model import Agreement, Cause, Command, Confidence, Leg, Report, Source, Verdict
from netprobe.model import command as commands
from netprobe.model.command import joined, quoted

from . import words
from .escape import lines
from .headline import colour, ending, question
from .marks import broken_leg, hops, last_seen, mirrors, surprises
from .pen import BOLD, CYAN, DIM, YELLOW, Pen, columns

_INDENT = 10
_SURPRISES = 4


def headline(report: Report, pen: Pen) -> list[str]:
    """Who, whom, by what, and the ending; on as many lines as the width asks for."""
    return pen.flowed(
        [(question(report), BOLD), (words.protocol(report.probe), BOLD), (ending(report), colour(report))]
    )


def disagreement(report: Report, pen: Pen) -> list[str]:
    """Said before everything else: the packet did not go where the configuration says."""
    if report.agreement is not Agreement.DISAGREE:
        return []
    shown = pen.indented("the packet did not do what the configuration says", "DISAGREE  ", YELLOW)
    if report.verdict is not Verdict.UNDETERMINED and (said := _contradiction(report)):
        shown += pen.indented(said, " " * 10)
    for leg, hop in surprises(report)[:_SURPRISES]:
        place = f"{leg} hop {hop.n}, {words.where(hop.namespace, hop.interface)} {words.step(hop)}"
        shown += pen.indented(f"{place}: {words.surprise(hop)}", " " * 10)
    return shown


def _contradiction(report: Report) -> str:
    """The two verdicts, where they differ: an answer that nobody expected, or none where one was."""
    if report.verdict is not Verdict.REACHABLE:
        return "predicted: an answer; seen: none" if report.verdict is Verdict.UNREACHABLE else ""
    missed = any(hop.observed is False for leg in Leg for hop in hops(report, leg))
    return "" if missed else "predicted: no answer; seen: one"


def reply_line(report: Report, pen: Pen) -> list[str]:
    """The reply's way in one line, when it came back (or would) the way the request went."""
    if (
        not report.path.reply
        and report.received
        and report.verdict is Verdict.REACHABLE
        and not report.answers
    ):
        return pen.wrap("reply came back; its way is not known", pen.width)
    if not _mirrored(report):
        return []
    if report.agreement is Agreement.PREDICTED_ONLY:
        came = "the reply would come back"
    elif report.verdict is Verdict.UNREACHABLE:
        came = "the refusal came back"
    else:
        came = "reply came back" if report.sent <= 1 else "replies came back"
    there = len(report.path.request)
    return pen.wrap(
        f"{came} over the same {there} hop{'' if there == 1 else 's'}{_untranslated(report)}", pen.width
    )


def reply_heading(report: Report) -> str:
    """What stands over the reply's hops when they are shown in full; empty when there is nothing to show or
    one line says it.
    """
    back, broken = hops(report, Leg.REPLY), broken_leg(report) is Leg.REPLY
    if not back or _mirrored(report):
        return ""
    if not broken and report.agreement is not Agreement.PREDICTED_ONLY and last_seen(back) < 0:
        return ""
    return "the reply" if broken or mirrors(report) else "the reply takes another way"


def _mirrored(report: Report) -> bool:
    """Nothing about the reply's way that the request's does not say already?"""
    seen = all(hop.observed is not False and hop.predicted for hop in report.path.reply)
    return seen and mirrors(report) and broken_leg(report) is not Leg.REPLY


def _untranslated(report: Report) -> str:
    undone = {hop.namespace for hop in report.path.reply if words.translations(hop)}
    at = [str(hop.n) for hop in report.path.request if hop.namespace in undone and words.translations(hop)]
    return f", un-NATed at hop {' and '.join(at)}" if at else ""


def answers_said(report: Report, pen: Pen) -> list[str]:
    """Each station's answer in a line."""
    return [
        pen.plain(
            f"{answer.address} is at {answer.mac}, {words.duration(answer.time_ns)}"
            + (f": {answer.note}" if answer.note else "")
        )
        for answer in report.answers
    ]


def losses(report: Report, pen: Pen) -> list[str]:
    """The numbers of -c N."""
    if report.sent <= 1:
        return []
    shown = pen.wrap(words.loss(report.sent, report.received), pen.width)
    return shown + (pen.wrap(words.round_trip(report.rtt_ns), pen.width) if report.rtt_ns else [])


def icmp_errors(report: Report, pen: Pen) -> list[str]:
    """The ICMP errors that came back, each once with how often."""
    counted = {error: report.errors.count(error) for error in report.errors}
    return [
        line
        for error, times in counted.items()
        for line in pen.indented(
            words.icmp_error(error) + (f", {times} times" if times > 1 else ""), "error from ", YELLOW
        )
    ]


_OUTLOOK = "after this fix"


def notes(report: Report, pen: Pen) -> list[str]:
    """Further remarks, without the outlook, which stands behind the fixes that it speaks of."""
    said = [note for note in report.notes if not note.startswith(_OUTLOOK)]
    return [line for note in said for line in pen.indented(note, "note: ")]


def outlook(report: Report, pen: Pen) -> list[str]:
    """What is to be expected once all is mended."""
    said = [note for note in report.notes if note.startswith(_OUTLOOK)]
    return [line for note in said for line in pen.indented(note, "")]


def since(report: Report, pen: Pen) -> list[str]:
    """When it worked, and what has changed since then."""
    return pen.wrap(words.since(report.since), pen.width) if report.since is not None else []


def causes(report: Report, pen: Pen) -> list[str]:
    """The root cause in full; its symptoms follow it as consequences."""
    if not report.causes:
        return (
            pen.indented(report.summary, f"{title(report)}: ", colour(report)) if broken_leg(report) else []
        )
    root, *symptoms = report.causes
    shown = _cause(report, root, {symptom.summary for symptom in symptoms}, pen)
    shown += _several("symptom", [f"{symptom.summary} [{symptom.code}]" for symptom in symptoms], pen)
    return [*shown, *_several("more", [joined(("netprobe", "explain", root.code))], pen)]


def title(report: Report) -> str:
    """What the cause is called: an error, a warning beside a good answer, or what is not known."""
    return {Verdict.REACHABLE: "warning", Verdict.UNDETERMINED: "undetermined"}.get(report.verdict, "error")


def _cause(report: Report, cause: Cause, elsewhere: Set[str], pen: Pen) -> list[str]:
    """The cause; what `elsewhere` says already is left out."""
    shown = [
        pen.paint(line, colour(report))
        for line in pen.wrap(f"{title(report)}[{cause.code}]: {cause.summary}", pen.width)
    ]
    shown += _what(cause, pen)
    shown += _labelled(
        "where", f"{words.where(cause.place.namespace, cause.place.interface)}, {cause.place.stage}", pen
    )
    said = {cause.summary, *elsewhere, *((cause.object.id, cause.object.text) if cause.object else ())}
    why = [proof.text for proof in cause.evidence if proof.source is Source.MODEL and proof.text not in said]
    seen = [
        f"{words.evidence_source(proof.source)}: {proof.text}"
        for proof in cause.evidence
        if proof.source is not Source.MODEL
    ]
    if cause.because is not None:
        why.append(f"{cause.because.summary} [{cause.because.code}]")
    if (
        cause.confidence in (Confidence.INFERRED, Confidence.UNKNOWN)
        and report.agreement is not Agreement.PREDICTED_ONLY
    ):
        seen.append(words.confidence(cause.confidence))
    return shown + _several("why", why, pen) + _several("proof", seen, pen) + _fix(cause, pen)


def _what(cause: Cause, pen: Pen) -> list[str]:
    if cause.object is None:
        return []
    text, shown = cause.object.text, _labelled("what", words.thing(cause.object), pen)
    if text == cause.object.id or text in cause.summary:  # as "" is
        return shown
    lead = " " * (_INDENT + 2)
    return shown + [lead + row for line in lines(text) for row in _whole_or_wrapped(line.strip(), lead, pen)]


def _whole_or_wrapped(line: str, lead: str, pen: Pen) -> list[str]:
    """A line as a tool printed it, its blanks too, where there is room for it."""
    room = pen.width and max(16, pen.width - len(lead))
    plain = pen.plain(line)
    return [plain] if room is None or columns(plain) <= room else pen.wrap(line, room)


def _fix(cause: Cause, pen: Pen) -> list[str]:
    """Commands are never wrapped: they are there to be copied.

    What is not to be run as it stands is a comment to the shell, and advice is, too.
    """
    shown = commands.lines(_placed(cause), ascii=pen.terminal.ascii)
    written = [_typed(each.typed, each.remark, pen) for each in shown]
    written += [
        pen.paint(f"# {line}", CYAN)
        for line in pen.wrap(cause.advice, pen.width and max(16, pen.width - _INDENT - 2))
        if line
    ]
    # an old report's
    written = written or [
        _typed(line, "" if "#" in line else _in(cause.place.namespace, pen), pen) for line in cause.fix
    ]
    labels = ["fix", *[""] * len(written)]
    return [_label(label, pen) + line for label, line in zip(labels, written, strict=False)]


def _placed(cause: Cause) -> list[Command]:
    """The commands, each with the namespace to run it in; netprobe itself is run from where it was
    started.
    """
    return [
        command
        if command.words[:1] == ("netprobe",)
        else replace(command, namespace=command.namespace or cause.place.namespace)
        for command in cause.commands
    ]


def _in(name: str | None, pen: Pen) -> str:
    return f"in {quoted(name, pen.terminal.ascii)}" if name else ""


def _typed(typed: str, remark: str, pen: Pen) -> str:
    return pen.paint(pen.plain(typed), CYAN) + (pen.paint(pen.plain(f"   # {remark}"), DIM) if remark else "")


def _several(label: str, texts: list[str], pen: Pen) -> list[str]:
    labels = [label, *[""] * len(texts)]
    return [line for name, said in zip(labels, texts, strict=False) for line in _labelled(name, said, pen)]


def _labelled(label: str, said: str, pen: Pen) -> list[str]:
    room = pen.width and max(16, pen.width - _INDENT)
    return [
        (_label(label, pen) if at == 0 else " " * _INDENT) + line
        for at, line in enumerate(pen.wrap(said, room))
    ]


def _label(label: str, pen: Pen) -> str:
    return pen.paint(f"  {label:<{_INDENT - 2}}", BOLD)


def blockers(report: Report, pen: Pen) -> list[str]:
    """What else would stop the probe once the first cause is mended."""
    if not report.blockers:
        return []
    shown = pen.flowed([("also in the way, once that is mended (predicted):", BOLD)])
    for cause in report.blockers:
        shown += pen.indented(f"[{cause.code}] {cause.summary}", "  ")
        shown += _fix(cause, pen)
    return shown


def alternatives(report: Report, pen: Pen) -> list[str]:
    """What else would do, and why it comes second."""
    if not report.alternatives:
        return []
    shown = pen.flowed([("or else, each alone (predicted):", BOLD)])
    for cause in report.alternatives:
        shown += pen.indented(f"[{cause.code}] {cause.summary}", "  ")
        shown += _labelled("second", cause.reason, pen) if cause.reason else []
        shown += _fix(cause, pen)
    return shown


def blind(report: Report, pen: Pen) -> list[str]:
    """What could not be looked at."""
    if not report.blind:
        return []
    return [pen.paint("could not be seen:", BOLD)] + [
        line for spot in report.blind for line in pen.indented(f"{spot.what}: {spot.why}", "  ")
    ]


def capture(report: Report, pen: Pen) -> list[str]:
    """Where the frames are."""
    return [pen.plain(f"capture: {report.capture}")] if report.capture else []
