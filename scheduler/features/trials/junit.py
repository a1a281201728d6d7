"""Results of jobs as JUnit XML, by the schema of Jenkins' plug-in.

https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

from jobs.formats import describe_milliseconds, escape_controls

if TYPE_CHECKING:
    from jobs.runs import Attempt
    from scheduler.features.trials.running import TrialResult

SUITE_NAME: Final = "scheduler"
_LINE_OF_ORIGIN: Final = re.compile(r":\d+$")


def write_junit(results: Sequence[TrialResult], origins: Mapping[str, str], started_at: datetime) -> bytes:
    """Return the document: a suite for each job file. `origins`: such as `jobs/shop.yaml:12`, by job.

    Its messages are those of runs, in which secrets are redacted.
    """
    by_file: dict[str, list[TrialResult]] = {}
    for result in results:
        by_file.setdefault(_LINE_OF_ORIGIN.sub("", origins[result.job.name]), []).append(result)
    root = ElementTree.Element("testsuites", {"name": SUITE_NAME, **_count(results)})
    for file, some in by_file.items():
        at = started_at.strftime("%Y-%m-%dT%H:%M:%S")
        suite = ElementTree.SubElement(root, "testsuite", {"name": _clean(file), "timestamp": at, **_count(some)})
        for result in some:
            _add_case(suite, result, _name_class(file))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _add_case(suite: ElementTree.Element, result: TrialResult, class_name: str) -> None:
    seconds = 0.0 if result.run is None else result.run.duration_ms / 1000
    case = ElementTree.SubElement(
        suite, "testcase", name=_clean(result.job.name), classname=class_name, time=f"{seconds:.3f}"
    )
    run = result.run
    if run is None:
        ElementTree.SubElement(case, "skipped", message=_clean(result.skipped))
        return
    if not result.has_succeeded:
        kind = run.reason or run.error or run.outcome
        failure = ElementTree.SubElement(case, "failure", type=str(kind), message=_clean(run.message or run.outcome))
        failure.text = "\n".join(_describe_attempts(run.attempts))
    elif run.message:
        ElementTree.SubElement(case, "system-out").text = _clean(run.message)


def _describe_attempts(attempts: Sequence[Attempt]) -> Iterator[str]:
    """Yield lines on each attempt, with failed expectations and an excerpt of the answer."""
    for attempt in attempts:
        status = f", status {attempt.status}" if attempt.status is not None else ""
        took = describe_milliseconds(attempt.phases.total_ms)
        yield _clean(f"attempt {attempt.number} ({took}{status}): {attempt.message or 'ok'}")
        for failure in attempt.failures:
            yield _clean(f"  {failure.expectation}: expected {failure.expected}, observed {failure.observed}")
        if attempt.body:
            yield "  body: " + _clean(attempt.body)


def _count(results: Sequence[TrialResult]) -> dict[str, str]:
    """Return the attributes of a suite. The time is that of its runs together, as of tests one after the other."""
    ran = [result for result in results if result.run is not None]
    failed = sum(not result.has_succeeded for result in ran)
    seconds = sum(result.run.duration_ms for result in ran if result.run is not None) / 1000
    counts = {"tests": len(results), "failures": failed, "errors": 0, "skipped": len(results) - len(ran)}
    return {**{key: str(value) for key, value in counts.items()}, "time": f"{seconds:.3f}"}


def _name_class(file: str) -> str:
    """`jobs/shop.yaml` -> `jobs.shop`: Jenkins groups cases by what precedes the last dot."""
    path = PurePath(file)
    parts = [part for part in (*path.parent.parts, path.stem) if part.strip("./\\")]
    return ".".join(_clean(part.replace(".", "_")) for part in parts) or SUITE_NAME


def _clean(text: str) -> str:
    """Return the text on one line, with characters that XML does not allow, and others that do not print, escaped."""
    return escape_controls(text)
