"""One report in any of the formats that -o names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .model import Comparison, Page, Report, Space, Verdict
from .render.terminal import Terminal

if TYPE_CHECKING:
    from .model.check import CheckReport
    from .model.examination import Examination
    from .model.matrix import Matrix
    from .model.wiring import Wiring


def formatted(
    report: Report, output: str, terminal: Terminal, quiet: bool = False, explained: bool = False
) -> str:
    """The report as text that ends with a newline; `quiet` is one line, whatever the command was; `explained`
    has the rules below it that were passed.
    """
    if output in ("json", "jsonl"):
        return _json(report)
    if output == "markdown":
        from .render.markdown import markdown

        return markdown(report)
    if output == "wide":
        from .render.wide import wide

        return wide(report, terminal.colour, terminal.ascii)
    if output == "html":
        from .render.html.report import html

        return html(report)
    if output == "svg":
        from .render.html.picture import svg

        return svg(report)
    if not explained:
        return _text(report, terminal, quiet)
    from .render.passed import passed

    return f"{_text(report, terminal, quiet)}\n{passed(report, terminal)}"


def matrix_as(matrix: Matrix, output: str, terminal: Terminal, quiet: bool = False) -> str:
    """Who reaches whom, in any of the formats of the command."""
    if output == "json":
        from .codec import matrix_to_json

        return matrix_to_json(matrix).decode() + "\n"
    if output in ("csv", "junit"):
        from .render import pairs

        return pairs.csv_of(matrix) if output == "csv" else pairs.junit_of(matrix)
    if output == "html":
        from .render.html.matrix import html

        return html(matrix)
    from .render import matrix as rendering

    if output == "markdown":
        return rendering.markdown(matrix)
    return rendering.text(matrix, terminal, quiet)


def wiring_as(
    wiring: Wiring, output: str, terminal: Terminal, whole: bool = False, quiet: bool = False
) -> str:
    """The wiring of a machine in any of the formats of the command; `whole`: nothing of it in groups. The
    text that is `quiet` is the answer of the path alone, or without one the names.
    """
    if output == "json":
        from .codec import wiring_to_json

        return wiring_to_json(wiring).decode() + "\n"
    from .render.wiring_groups import grouped

    shown = wiring if whole else grouped(wiring)
    if output in ("dot", "mermaid"):
        from .render.wiring_graphs import wiring_dot, wiring_mermaid

        return wiring_dot(shown) if output == "dot" else wiring_mermaid(shown)
    if output == "svg":
        from .render.wiring_svg import wiring_svg

        return wiring_svg(shown)
    if output == "html":
        from .render.wiring_html import wiring_html

        return wiring_html(shown)
    from .render.wiring_text import wiring_quiet, wiring_text

    return wiring_quiet(wiring, terminal) if quiet else wiring_text(shown, terminal)


def listed(spaces: Sequence[Space], output: str, terminal: Terminal, quiet: bool = False) -> str:
    """The namespaces of a machine, as a table or as JSON; `quiet` are their names alone, as they are
    typed.
    """
    if output == "json":
        from .codec import spaces_to_json

        return spaces_to_json(spaces).decode() + "\n"
    from .render import spaces as table

    return table.spaces(spaces, terminal, quiet)


def examined(examination: Examination, output: str, terminal: Terminal, quiet: bool = False) -> str:
    """What this machine lets netprobe see, as text or JSON; `quiet` is the first line of the text alone."""
    if output == "json":
        from .codec import examination_to_json

        return examination_to_json(examination).decode() + "\n"
    from .render import examination as rendering

    return rendering.examination(examination, terminal, quiet)


def explained(pages: Sequence[Page], output: str, terminal: Terminal) -> str:
    """One page of the handbook of causes in full, or the contents of several; as JSON and Markdown all of
    them in full.
    """
    if output == "json":
        from .codec import pages_to_json

        return pages_to_json(pages).decode() + "\n"
    from .render import pages as handbook

    if output == "markdown":
        return handbook.markdown(pages)
    return handbook.page(pages[0], terminal) if len(pages) == 1 else handbook.contents(pages, terminal)


def compared(before: Report, after: Report, found: Comparison, output: str, terminal: Terminal) -> str:
    """What two runs differ in, as text or JSON."""
    if output == "json":
        from .codec import comparison_to_json

        return comparison_to_json(before, after, found).decode() + "\n"
    from .render import difference

    return difference.difference(before, after, found, terminal)


def checked(report: CheckReport, output: str, terminal: Terminal, quiet: bool = False) -> str:
    """What became of expectations; `quiet` is the last line of the text alone."""
    if output == "json":
        from .codec import check_to_json

        return check_to_json(report).decode() + "\n"
    if output == "junit":
        from .render.check_junit import check_junit

        return check_junit(report)
    if output == "tap":
        from .render.tap import tap

        return tap(report)
    if output == "prometheus":
        from .render.prometheus import prometheus

        return prometheus(report)
    if output == "html":
        from .render.html.check import html

        return html(report)
    from .render import check

    return check.markdown(report) if output == "markdown" else check.check(report, terminal, quiet)


def _text(report: Report, terminal: Terminal, quiet: bool) -> str:
    from .render import text

    if quiet or (report.command == "ping" and report.verdict is not Verdict.INTERMITTENT):
        return text.ping(report, terminal.colour, terminal.ascii)
    if report.command == "arping":
        return text.arping(report, terminal.width, terminal.colour, terminal.ascii)
    return text.text(report, terminal.width, terminal.colour, terminal.ascii)


def _json(report: Report) -> str:
    """One line, so that the reports of several runs in one file are JSON lines."""
    from .codec import report_to_json

    return report_to_json(report).decode() + "\n"
