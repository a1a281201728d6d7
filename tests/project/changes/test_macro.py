"""Adding a macro touches the table of macros and the one for users."""

from __future__ import annotations

from tests.project.changes.sample_change import SampleChangeFactory

USE_IT = """
from datetime import UTC, datetime
from jobs.schedules import parse_schedule
from jobs.schedules.explanations import explain_schedule

schedule = parse_schedule("@quarterly")
print(explain_schedule(schedule))
print(schedule.next_after(datetime(2026, 11, 25, tzinfo=UTC)))
"""


def test_a_macro(sample_change: SampleChangeFactory) -> None:
    change = sample_change("a macro")
    change.insert("jobs/schedules/ncrontab.py", after='    "@monthly"', text='    "@quarterly": "0 0 0 1 1,4,7,10 *",')
    change.replace("docs/jobs.md", "`@monthly`,", "`@monthly`, `@quarterly`,")

    assert change.python(USE_IT).splitlines() == [
        "At 00:00 on the first day of January, April, July, and October",
        "2027-01-01 00:00:00+00:00",
    ]
    change.pytest("tests/docs/test_jobs_page.py")
    change.assert_touches_documented_files()
