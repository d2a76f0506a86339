"""The gate's verdict for people and machines: Markdown, JUnit XML, annotations, JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from xml.etree import ElementTree

from harness.gate.verdict import Check, GateVerdict
from harness.metrics.prediction import Prediction
from harness.report.markdown import escaped, markdown_table
from harness.report.section import shortened
from harness.results.result import by_id
from harness.results.run import Run
from harness.results.text import printable

COLUMNS = ("outcome", "cell", "rule", "found")
EXAMPLES = 3
"""Flipped examples written out for a check."""


def as_json(verdict: GateVerdict) -> str:
    """Every check as a record, with the exit code and the summary."""
    checks = [
        {
            "outcome": check.outcome, "row": check.row, "metric": check.metric,
            "rule": check.rule.model_dump(mode="json"), "text": check.text,
            "delta": asdict(check.delta) if check.delta else None,
            "regressions": list(check.regressions),
        }
        for check in verdict.checks
    ]  # fmt: skip
    record = {"summary": verdict.summary, "exit_code": verdict.exit_code, "checks": checks}
    return json.dumps(record, ensure_ascii=False, indent=1) + "\n"


def as_markdown(verdict: GateVerdict, run: Run) -> str:
    """A step summary: the sentence, the checks with problems first, the examples that lost."""
    rows = [(c.outcome, c.row, c.name, c.text) for c in verdict.ordered()]
    lines = [f"## {escaped(verdict.summary)}", "", *markdown_table(COLUMNS, rows)]
    for check in verdict.checks:
        examples = lost_examples(check, run) if check.is_problem else []
        if examples:
            lines += [
                "",
                f"### {escaped(check.row)}: examples that lost {escaped(check.metric)}",
                "",
            ]
            lines += markdown_table(("prompt", "reference", "answer now"), examples)
    return "\n".join(lines) + "\n"


def as_junit(verdict: GateVerdict, run: Run) -> str:
    """JUnit XML with a test case per check.

    A regression is a failure, a check that could not be made an error, a warning a skipped test.
    """
    suite = ElementTree.Element("testsuite", name=f"harness check {verdict.suite}")
    counts = {"failures": 0, "errors": 0, "skipped": 0}
    for check in verdict.checks:
        case = ElementTree.SubElement(suite, "testcase", classname=check.row, name=check.name)
        tag = _tag(check)
        if tag:
            counts[f"{tag}s" if tag != "skipped" else tag] += 1
            element = ElementTree.SubElement(case, tag, message=check.text, type=check.outcome)
            element.text = "\n".join(" | ".join(row) for row in lost_examples(check, run))
        else:
            ElementTree.SubElement(case, "system-out").text = check.text
    suite.set("tests", str(len(verdict.checks)))
    for key, count in counts.items():
        suite.set(key, str(count))
    ElementTree.indent(suite)
    text = printable(ElementTree.tostring(suite, encoding="unicode"))
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _tag(check: Check) -> str | None:
    """JUnit's element for a check, or None if it passed."""
    tags = {"pass": None, "warning": "skipped", "regression": "failure"}
    return tags.get(check.severity, "error")


def workflow_commands(verdict: GateVerdict) -> list[str]:
    """GitHub's workflow commands: an error per problem, a warning per warning."""
    commands = []
    for check in verdict.checks:
        if not check.passed:
            kind = "error" if check.is_problem else "warning"
            title = _property(f"{check.outcome}: {check.row}")
            commands.append(f"::{kind} title={title}::{_data(f'{check.metric}: {check.text}')}")
    return commands


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def lost_examples(check: Check, run: Run) -> list[tuple[str, ...]]:
    """Prompt, reference and answer of the examples that lost most."""
    if not check.regressions or not run.has_texts:
        return []
    records = _records(run, check.row)
    lost = [records[i] for i in check.regressions[:EXAMPLES] if i in records]
    return [
        tuple(_cut(r[key]) for key in ("example_prompt", "reference", "prediction")) for r in lost
    ]


def _records(run: Run, row: str) -> dict[str, Prediction]:
    cell = next((c for c in run.cells if c.row == row and c.status == "ok"), None)
    return by_id(run.predictions(cell)) if cell else {}


def _cut(text: str) -> str:
    return shortened("".join(c if c.isprintable() else " " for c in text), 200)
