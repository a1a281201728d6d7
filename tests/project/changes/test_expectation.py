"""Adding an expectation touches its own file, the list of entries and the table for users."""

from __future__ import annotations

from tests.project.changes.sample_change import SampleChangeFactory

ENTRY = '''"""The entry about the number of lines of the body."""

from __future__ import annotations

from typing import ClassVar

from jobs.expectations.entry import JudgedAnswer
from jobs.expectations.entry import BRIEF_TEXT_BYTES, ExpectationEntry
from jobs.expectations.entry import Feature
from jobs.expectations.comparisons import CountBounds


class BodyLinesEntry(ExpectationEntry):
    """The body has so many lines: `{body_lines: {at_least: 2}}`."""

    needs: ClassVar = Feature.BODY
    BRIEF_BYTES: ClassVar = BRIEF_TEXT_BYTES

    body_lines: CountBounds

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return str(self.body_lines)

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        count = len(answer.text.splitlines())
        return None if self.body_lines.holds(count) else str(count)
'''
USE_IT = """
from pydantic import ValidationError
from jobs.definition import JobDefinition
from jobs.expectations import judge
from jobs.runs import Observation, Phases

def job(check):
    return JobDefinition.model_validate({"name": "a", "check": check, "expect": [{"body_lines": {"at_least": 2}}]})

expect = job({"url": "https://checkout.internal/"}).expect
for body in (b"only one", b"a\\nb"):
    print(*judge(Observation(Phases(), 200, body=body), expect), sep="", end="")
print()
try:
    job({"kind": "dns", "name": "checkout.internal"})
except ValidationError as error:
    print(error.errors()[0]["msg"])
"""


def test_an_expectation(sample_change: SampleChangeFactory) -> None:
    change = sample_change("an expectation")
    union = "jobs/expectations/union.py"
    change.write("jobs/expectations/entries/body_lines.py", ENTRY)
    change.insert(
        union, after="entries.body_hash", text="from jobs.expectations.entries.body_lines import BodyLinesEntry"
    )
    change.insert(union, after="    BodyHashEntry,", text="    BodyLinesEntry,")
    change.insert(
        "docs/jobs.md",
        after="| `{max_body: 64KiB}`",
        text="| `{body_lines: {at_least: 2}}` | the body has so many lines | http, tcp |",
    )

    assert change.python(USE_IT).splitlines() == [
        "body_lines: expected at least 2, observed 1",
        "Value error, body_lines (entry 1) does not fit a check of kind dns: it needs a body",
    ]
    change.pytest("tests/docs/test_jobs_page.py")
    change.assert_touches_documented_files()
