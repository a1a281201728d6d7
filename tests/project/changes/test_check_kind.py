"""A new kind of check is its model, a line in the registry, its check, and its place in the document."""

from __future__ import annotations

from tests.project.changes.sample_change import SampleChangeFactory

TARGET = '''"""What an echo check returns. The check itself is jobs/checks/kinds/echo.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from jobs.expectations.entry import Feature
from jobs.model_base import FrozenModel
from jobs.policies import Timeouts
from jobs.targets.endpoints import Destination, HostPort


class EchoTarget(FrozenModel):
    """A text that comes back as a fact."""

    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=5.0, run=15.0)
    FEATURES: ClassVar = frozenset({Feature.FACTS, Feature.DURATION})

    kind: Literal["echo"]
    host: str
    text: str

    @property
    def endpoint(self) -> str:
        return f"echo://{self.host}"

    @property
    def label(self) -> str:
        return f"echo of {self.host}"

    @property
    def idempotent(self) -> bool:
        return True

    def destinations(self) -> Iterator[Destination]:
        yield HostPort(self.host, 7)
'''

CHECK = '''"""The check of an echo target."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.checks.dependencies import CheckDependencies
from jobs.checks.port import AttemptContext, Check
from jobs.runs import Observation
from jobs.targets.echo import EchoTarget


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> Check:
    return EchoCheck()


class EchoCheck:
    async def observe(self, target: EchoTarget, attempt: AttemptContext) -> Observation:
        return Observation(attempt.clock.stop(), facts={"text": target.text})

    def prepare(self, target: EchoTarget) -> None:
        pass

    async def aclose(self) -> None:
        pass
'''

JOB = """
jobs:
  - name: repeat
    schedule: {every: 1m}
    check: {kind: echo, host: 169.254.169.254, text: hello}
    expect:
      - {fact: text, equals: hello}
      - {response_time_below: 5s}
"""

RUN = """
import asyncio
import yaml
from jobs.checks import Checks
from jobs.checks.clock import PhaseClock
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.guard import LOCAL_GUARD
from jobs.checks.port import AttemptContext
from jobs.redaction import Redactor
from jobs.definition import JobDefinition
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens

job = JobDefinition.model_validate(yaml.safe_load(open("echo.yaml"))["jobs"][0])
checks = Checks(CheckDependencies(MemorySecrets(), MemoryTokens(), Redactor(), LOCAL_GUARD))
seen = asyncio.run(checks.observe(job.check, AttemptContext("repeat@1", 1, PhaseClock())))
print(seen.facts["text"], job.timeout.attempt, job.check.endpoint)
"""

REFUSED = """
from jobs.definition import JobDefinition
try:
    JobDefinition.model_validate(
        {"name": "a", "check": {"kind": "echo", "host": "a", "text": "b"}, "expect": [{"status": 200}]}
    )
except ValueError as error:
    print(error)
"""


def test_a_check_kind_needs_a_model_a_check_and_one_line(sample_change: SampleChangeFactory) -> None:
    change = sample_change("a check kind")
    change.write("jobs/targets/echo.py", TARGET)
    change.insert("jobs/targets/__init__.py", after="import DnsTarget", text="from jobs.targets.echo import EchoTarget")
    change.insert(
        "jobs/targets/__init__.py", before='Tag("heartbeat")]', text='    | Annotated[EchoTarget, Tag("echo")]'
    )
    change.write("jobs/checks/kinds/echo.py", CHECK)
    change.append_row("docs/jobs.md", below="### Deadlines and retries", row="| `echo` | 5s | 15s |")
    change.replace("docs/jobs.md", "### Deadlines and retries", f"```yaml{JOB}```\n\n### Deadlines and retries")

    (change.folder / "echo.yaml").write_text(JOB)
    assert change.python(RUN) == "hello 5.0 echo://169.254.169.254\n"
    assert "does not fit a check of kind echo" in change.python(REFUSED)
    validated = change.cli("validate", "echo.yaml")
    assert "169.254.169.254 is a link-local address" in validated.stdout + validated.stderr
    change.pytest("tests/docs/test_jobs_page.py", "tests/jobs/checks/test_registry.py")
    change.assert_touches_documented_files()
