"""The parts of a report around its table, each a list of finished lines; empty when there is nothing to
say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set
from itertools import chain, repeat

from msgspec.structs import replace

from netprobe.model import Agreement, Answer, Cause, Command, Leg, Report, Source, Verdict
from netprobe.model import command as commands
from netprobe.model.command import joined, quoted

from . import words
from .escape import lines
from .headline import colour, ending, question
from .marks import broken_leg, hops, is_as_predicted, is_missed, last_seen, mirrors, surprises
from .pen import BOLD, CYAN, DIM, YELLOW, Pen, behind, columns

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
        answered = any(hop.predicted for hop in report.path.reply)
        foretold = report.verdict is Verdict.UNREACHABLE and answered
        return "predicted: an answer; seen: none" if foretold else ""
    missed = any(is_missed(hops(report, leg)) for leg in Leg)
    return "" if missed else "predicted: no answer; seen: one"


def reply_line(report: Report, pen: Pen) -> list[str]:
    """The reply's way in one line, when it came back (or would) the way the request went."""
    if _came_unseen(report):
        return pen.wrap("reply came back; its way is not known", pen.width)
    if not _mirrored(report):
        return []
    there = len(report.path.request)
    plural = "" if there == 1 else "s"
    return pen.wrap(f"{_came(report)} over the same {there} hop{plural}{_untranslated(report)}", pen.width)


def _came_unseen(report: Report) -> bool:
    """An answer of no known way?"""
    answered = report.received > 0 and report.verdict is Verdict.REACHABLE
    return answered and not report.path.reply and not report.answers


def _came(report: Report) -> str:
    if report.agreement is Agreement.PREDICTED_ONLY:
        return "the reply would come back"
    if report.verdict is Verdict.UNREACHABLE:
        return "the refusal came back"
    return "reply came back" if report.sent <= 1 else "replies came back"


def reply_heading(report: Report) -> str:
    """What stands over the reply's hops when they are shown in full; empty when there is nothing to show or
    one line says it.
    """
    back, broken = hops(report, Leg.REPLY), broken_leg(report) is Leg.REPLY
    if not back or _mirrored(report):
        return ""
    if broken:
        return "the reply"
    if report.agreement is not Agreement.PREDICTED_ONLY and last_seen(back) < 0:
        return ""
    return "the reply" if mirrors(report) else "the reply takes another way"


def _mirrored(report: Report) -> bool:
    """Nothing about the reply's way that the request's does not say already?"""
    as_expected = all(map(is_as_predicted, report.path.reply))
    return as_expected and mirrors(report) and broken_leg(report) is not Leg.REPLY


def _untranslated(report: Report) -> str:
    undone = {hop.namespace for hop in filter(words.translations, report.path.reply)}
    there = filter(words.translations, report.path.request)
    at = [str(hop.n) for hop in there if hop.namespace in undone]
    return f", un-NATed at hop {' and '.join(at)}" if at else ""


def answers_said(report: Report, pen: Pen) -> list[str]:
    """Each station's answer in a line."""
    return [pen.plain(_answer_said(answer)) for answer in report.answers]


def _answer_said(answer: Answer) -> str:
    note = f": {answer.note}" if answer.note else ""
    return f"{answer.address} is at {answer.mac}, {words.duration(answer.time_ns)}{note}"


def losses(report: Report, pen: Pen) -> list[str]:
    """The numbers of -c N."""
    if report.sent <= 1:
        return []
    shown = pen.wrap(words.loss(report.sent, report.received), pen.width)
    return shown + (pen.wrap(words.round_trip(report.rtt_ns), pen.width) if report.rtt_ns else [])


def icmp_errors(report: Report, pen: Pen) -> list[str]:
    """The ICMP errors that came back, each once with how often."""
    said = []
    for error, times in Counter(report.errors).items():
        often = f", {times} times" if times > 1 else ""
        said.append(words.icmp_error(error) + often)
    return pen.listed(said, "error from ", YELLOW)


_OUTLOOK = ("after this fix", "once a program answers there")


def notes(report: Report, pen: Pen) -> list[str]:
    """Further remarks, without the outlook, which stands behind the fixes that it speaks of."""
    return pen.listed((note for note in report.notes if not note.startswith(_OUTLOOK)), "note: ")


def outlook(report: Report, pen: Pen) -> list[str]:
    """What is to be expected once all is mended."""
    return pen.listed((note for note in report.notes if note.startswith(_OUTLOOK)), "")


def since(report: Report, pen: Pen) -> list[str]:
    """When it worked, and what has changed since then."""
    return pen.wrap(words.since(report.since), pen.width) if report.since is not None else []


def causes(report: Report, pen: Pen) -> list[str]:
    """The root cause in full; its symptoms follow it as consequences."""
    if not report.causes:
        said = [report.summary] if broken_leg(report) else []
        return pen.listed(said, f"{title(report)}: ", colour(report))
    root, *symptoms = report.causes
    shown = _cause(report, root, {symptom.summary for symptom in symptoms}, pen)
    shown += _several("symptom", map(with_code, symptoms), pen)
    return [*shown, *_several("more", [joined(("netprobe", "explain", root.code))], pen)]


def figures(report: Report, pen: Pen) -> list[str]:
    """What was counted and heard."""
    return losses(report, pen) + icmp_errors(report, pen) + notes(report, pen)


def conclusions(report: Report, pen: Pen) -> list[list[str]]:
    """What was concluded, part by part: since when, cause and fix, what else, what was not seen."""
    parts = (since, causes, blockers, outlook, alternatives, blind)
    return [part(report, pen) for part in parts]


def title(report: Report) -> str:
    """What the cause is called: an error, a warning beside a good answer, or what is not known."""
    return {Verdict.REACHABLE: "warning", Verdict.UNDETERMINED: "undetermined"}.get(report.verdict, "error")


def _cause(report: Report, cause: Cause, elsewhere: Set[str], pen: Pen) -> list[str]:
    """The cause; what `elsewhere` says already is left out."""
    heading = f"{title(report)}[{cause.code}]: {cause.summary}"
    where = f"{words.where(cause.place.namespace, cause.place.interface)}, {cause.place.stage}"
    return [
        *(pen.paint(line, colour(report)) for line in pen.wrap(heading, pen.width)),
        *_what(cause, pen),
        *_labelled("where", where, pen),
        *_several("why", why_said(cause, elsewhere), pen),
        *_several("proof", proof_said(cause, report.agreement), pen),
        *fix_lines(cause, pen),
    ]


def why_said(cause: Cause, elsewhere: Set[str]) -> list[str]:
    """What it was concluded from, and the cause behind it."""
    thing = (cause.object.id, cause.object.text) if cause.object else ()
    said = {cause.summary, *elsewhere, *thing}
    told = [proof.text for proof in cause.evidence if proof.source is Source.MODEL]
    further = [text for text in told if text not in said]
    return further if cause.because is None else [*further, with_code(cause.because)]


def with_code(cause: Cause) -> str:
    """A cause in a line, its code behind."""
    return f"{cause.summary} [{cause.code}]"


def proof_said(cause: Cause, agreement: Agreement) -> list[str]:
    """What was seen; where something was sent and the cause was not, that."""
    seen = [proof for proof in cause.evidence if proof.source is not Source.MODEL]
    texts = [f"{words.evidence_source(proof.source)}: {proof.text}" for proof in seen]
    if agreement is Agreement.PREDICTED_ONLY:
        return texts
    return list(filter(None, (*texts, words.confidence(cause.confidence))))


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
    room, plain = pen.room(len(lead)), pen.plain(line)
    return [plain] if room is None or columns(plain) <= room else pen.wrap(line, room)


def fix_lines(cause: Cause, pen: Pen) -> list[str]:
    """Commands are never wrapped: they are there to be copied.

    What is not to be run as it stands is a comment to the shell, and advice is, too.
    """
    shown = commands.lines(placed(cause), ascii=pen.terminal.ascii)
    written = [_typed(each.typed, each.remark, pen) for each in shown]
    advice = filter(None, pen.wrap(cause.advice, pen.room(_INDENT + 2)))
    written += [pen.paint(f"# {line}", CYAN) for line in advice]
    return behind(_label("fix", pen), _label("", pen), written or _old_fix(cause, pen))


def _old_fix(cause: Cause, pen: Pen) -> list[str]:
    """The lines of a report that has no commands yet."""
    place = _in(cause.place.namespace, pen)
    return [_typed(line, "" if "#" in line else place, pen) for line in cause.fix]


def placed(cause: Cause) -> list[Command]:
    """The commands, each with the namespace to run it in; netprobe itself is run from where it was
    started.
    """
    return [_placed_in(command, cause.place.namespace) for command in cause.commands]


def _placed_in(command: Command, name: str | None) -> Command:
    if command.words[:1] == ("netprobe",):
        return command
    return replace(command, namespace=command.namespace or name)


def _in(name: str | None, pen: Pen) -> str:
    return f"in {quoted(name, pen.terminal.ascii)}" if name else ""


def _typed(typed: str, remark: str, pen: Pen) -> str:
    return pen.paint(pen.plain(typed), CYAN) + (pen.paint(pen.plain(f"   # {remark}"), DIM) if remark else "")


def _several(label: str, texts: Iterable[str], pen: Pen) -> list[str]:
    labels = chain([label], repeat(""))
    said = (_labelled(each, text, pen) for each, text in zip(labels, texts, strict=False))
    return list(chain.from_iterable(said))


def _labelled(label: str, said: str, pen: Pen) -> list[str]:
    return behind(_label(label, pen), " " * _INDENT, pen.wrap(said, pen.room(_INDENT)))


def _label(label: str, pen: Pen) -> str:
    return pen.paint(f"  {label:<{_INDENT - 2}}", BOLD)


def blockers(report: Report, pen: Pen) -> list[str]:
    """What else would stop the probe once the first cause is mended."""
    if not report.blockers:
        return []
    shown = pen.flowed([("also in the way, once that is mended (predicted):", BOLD)])
    for cause in report.blockers:
        shown += _further(cause, pen) + fix_lines(cause, pen)
    return shown


def _further(cause: Cause, pen: Pen) -> list[str]:
    return pen.indented(f"[{cause.code}] {cause.summary}", "  ")


def alternatives(report: Report, pen: Pen) -> list[str]:
    """What else would do, and why it comes second."""
    if not report.alternatives:
        return []
    shown = pen.flowed([("or else, each alone (predicted):", BOLD)])
    for cause in report.alternatives:
        shown += _further(cause, pen)
        shown += _labelled("second", cause.reason, pen) if cause.reason else []
        shown += fix_lines(cause, pen)
    return shown


def blind(report: Report, pen: Pen) -> list[str]:
    """What could not be looked at."""
    if not report.blind:
        return []
    spots = (f"{spot.what}: {spot.why}" for spot in report.blind)
    return [pen.paint("could not be seen:", BOLD), *pen.listed(spots, "  ")]


def capture(report: Report, pen: Pen) -> list[str]:
    """Where the frames are."""
    return [pen.plain(f"capture: {report.capture}")] if report.capture else []
