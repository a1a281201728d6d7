"""The check of several HTTP requests in sequence, over the check of one; and one run of such a sequence in progress."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobs.checks.binding.rules import iter_credentials
from jobs.checks.clock import PhaseClock, describe_deadline, peer_of_url
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.errors import BadSubstitution, ExtractionError
from jobs.checks.http.responses import CookieJar
from jobs.checks.kinds.http import HttpCheck
from jobs.checks.kinds.step_values import SavedValueLimits, StepJudgement, StepResult, StepValues, extract_value
from jobs.checks.port import AttemptContext, Check, Credential, register_value
from jobs.errors import LeaseEnded
from jobs.expectations import ExpectationEntry, judge
from jobs.expectations.budget import JUDGEMENT_SECONDS
from jobs.expectations.entry import JudgedAnswer
from jobs.expectations.judging import describe_unmet
from jobs.judging import InlineJudge, Judge, Judgement, JudgingUnavailable
from jobs.problems import make_printable
from jobs.redaction import Redactor
from jobs.redaction.value_holders import LONG_SECRET
from jobs.runs import ErrorClass, Failure, Observation, Phases, Severity
from jobs.runs.details import HealthDetail
from jobs.targets.steps import CookieSource, Step, StepsTarget, find_names, format_as_text
from jobs.turns import wait_for_turn


def build_step_facts(
    step: Step, error: ErrorClass | None, status: int | None, took_ms: float, *, cleanup: bool = False
) -> dict[str, Any]:
    outcome = "succeeded" if error is None else "timed_out" if error.is_timeout else "failed"
    facts = {"name": step.name, "outcome": outcome, "status": status, "ms": round(took_ms, 3)}
    if error is not None:
        facts["error"] = error.value
    if cleanup:
        facts["cleanup"] = True
    return facts


def with_message(seen: Observation, message: str, error: ErrorClass | None = None) -> Observation:
    return replace(seen, error=error or seen.error, message=message)


def step_failed(call: AttemptContext, message: str) -> Observation:
    text = message[:1].upper() + message[1:]
    return Observation(call.clock.snapshot(), error=ErrorClass.STEP_FAILED, message=text)


def name_failure(step: Step, failure: Failure) -> Failure:
    return Failure(f"{step.name}: {failure.expectation}", failure.expected, failure.observed, failure.severity)


def cleanup_failure(step: Step, message: str) -> Failure | None:
    if not message:
        return None
    return Failure(f"cleanup {step.name}", "completed cleanup", message.rstrip("."), Severity.DEGRADED)


CLEANUP_SECONDS = 10.0
"""For all steps of `cleanup` together; they continue when the attempt is cancelled."""


JUDGING_SECONDS = 3.0
"""Of computing, for the judgements of all steps of an attempt together, and the same again for those of `cleanup`."""


_log = logging.getLogger("jobs.checks")


class StepSequence:
    """Runs the steps of one attempt."""

    def __init__(
        self, http: HttpCheck, redactor: Redactor, judges: Judge, call: AttemptContext, hiding: asyncio.Lock
    ) -> None:
        """`hiding`: held by the run that registers more secrets than a few short ones."""
        self._hiding = hiding
        self._http = http
        self._redactor = redactor
        self._judges = judges
        self._judging_left = JUDGING_SECONDS
        self._judging_ms = 0.0
        """Spent on judgements so far, waiting included: not the target's time."""
        self.call = call
        self._cookies = CookieJar()
        self._values = StepValues()
        self._sizes = SavedValueLimits()
        self._hidden = 0
        """Characters of the values hidden so far."""
        self._sent: frozenset[Credential] = frozenset()
        """Sent so far: later responses may contain what was obtained with it."""
        self._got_with: dict[str, frozenset[Credential]] = {}
        """What was sent to obtain each saved value."""
        self.step_facts: list[dict[str, Any]] = []
        """The result of each step, as JSON."""
        self.tls_facts: dict[str, Any] = {}
        """The TLS version of the last step over TLS."""
        self.certificates: tuple[bytes, ...] = ()
        """Shown by the server of that step."""
        self._under_way: tuple[Step, float] | None = None
        """The running step, and its start on the attempt's clock."""
        self.degraded: list[Failure] = []
        self.health: HealthDetail | None = None
        """The health document of the last step that has read one."""

    async def run_steps(self, steps: tuple[Step, ...]) -> Observation | None:
        """Return the first unexpected response with its error; None if all are as expected."""
        self.call.clock.facts = self._facts_so_far
        for number, step in enumerate(steps, 1):
            where = self.call.clock.step_prefix = f"Step {number} of {len(steps)} ({make_printable(step.name)}): "
            seen = await self._run_step(step, self.call)
            if seen.error is not None:
                return with_message(seen, f"{where}{seen.message}")
            del seen  # frees its body before the next step
        return None

    async def clean_up(self, steps: tuple[Step, ...]) -> Failure | None:
        """Run the steps whose values exist; return the first failure. Never raises."""
        reservation = self.call.body_reservation.open_sibling()
        call = replace(self.call, clock=PhaseClock(), body_reservation=reservation)
        failure: Failure | None = None
        self._judging_left = JUDGING_SECONDS
        try:
            async with asyncio.timeout(CLEANUP_SECONDS):
                for step in steps:
                    if step.placeholder_names() <= self._values.by_name.keys():
                        seen = await self._run_step(step, call, cleanup=True)
                        failure = failure or cleanup_failure(step, seen.message if seen.error is not None else "")
        except TimeoutError:
            failure = failure or cleanup_failure(steps[-1], f"it took longer than {CLEANUP_SECONDS:g} s")
        except Exception as error:
            _log.exception("could not clean up after run %s; the run reports it", self.call.run_id)
            failure = failure or cleanup_failure(steps[-1], f"the program itself failed with {type(error).__name__}")
        finally:
            reservation.close()
        return failure

    async def _run_step(self, step: Step, call: AttemptContext, *, cleanup: bool = False) -> Observation:
        """Run one step and judge it; its saved values are available afterwards."""
        started_ms, judging_ms = call.clock.elapsed_ms, self._judging_ms
        if not cleanup:
            self._under_way = step, started_ms
        seen = await self._observe_and_judge(step, call)
        self._under_way = None
        if seen.certificates:
            self.tls_facts, self.certificates = {"tls_version": seen.facts.get("tls_version")}, seen.certificates
        took_ms = call.clock.elapsed_ms - started_ms - (self._judging_ms - judging_ms)
        self.step_facts.append(build_step_facts(step, seen.error, seen.status, took_ms, cleanup=cleanup))
        return seen

    def _facts_so_far(self) -> dict[str, Any]:
        """Return the steps at the attempt's deadline, which ends the running one."""
        steps = list(self.step_facts)
        if self._under_way is not None:
            step, started_ms = self._under_way
            clock = self.call.clock
            error, _ = describe_deadline(clock, step.endpoint, 0)
            steps.append(build_step_facts(step, error, None, clock.elapsed_ms - started_ms))
        return {"steps": steps}

    async def _observe_and_judge(self, step: Step, call: AttemptContext) -> Observation:
        try:
            target, expect = self._values.fill_step(step), tuple(map(self._values.fill_expectation, step.expect))
        except BadSubstitution as error:
            return step_failed(call, self._redactor.redact(f"{error}."))
        seen = await self._send(step, target, call)
        if seen.error is not None:
            return seen
        self._values.last_url = str(seen.facts.get("url") or target.url)
        try:
            result = await self._result(step, expect, seen, call)
        except JudgingUnavailable as error:
            return with_message(seen, str(error), ErrorClass.INTERNAL_ERROR)
        self.health = result.health or self.health
        if result.blocking_failures:
            error_class, message = describe_unmet(seen, result.blocking_failures)
            return with_message(seen, self._redactor.redact(message), error_class)
        self.degraded += [name_failure(step, failure) for failure in result.failures]
        return await self._save(step, seen, result)

    async def _result(
        self, step: Step, expect: tuple[ExpectationEntry, ...], seen: Observation, call: AttemptContext
    ) -> StepResult:
        """Judge the response. Raises JudgingUnavailable."""
        save = tuple((name, source) for name, source in step.save.items() if not isinstance(source, CookieSource))
        if not expect and not save:
            return StepResult(judge(seen, (), self._redactor.redact))
        task = StepJudgement(Judgement(seen, expect), save)
        if self._judging_left <= 0:
            return task.undecided(
                0, f"all steps of an attempt have {JUDGING_SECONDS:g} s of computing, which are used up"
            )
        started_ms, call.clock.verdict = call.clock.elapsed_ms, (ErrorClass.INTERNAL_ERROR, _NOT_JUDGED_IN_TIME)
        seconds = min(JUDGEMENT_SECONDS, self._judging_left)
        job = self.call.run_id.rpartition("@")[0]
        judged = await self._judges.perform(job, task, self._redactor.redact, seconds=seconds)
        call.clock.verdict = None
        self._judging_ms += call.clock.elapsed_ms - started_ms
        self._judging_left -= judged.seconds
        return judged.result

    def phases(self) -> Phases:
        """Return the phases of the attempt."""
        return self.call.clock.stop()

    async def _send(self, step: Step, target: Step, call: AttemptContext) -> Observation:
        number, call.clock.current_peer = len(self.step_facts) + 1, peer_of_url(target.url)
        # A separate key: for the target it is a different request from that of the step before.
        names = {name for value in step.sent_values() for name in find_names(value) if self._got_with.get(name)}
        step_call = replace(
            call,
            run_id=f"{call.run_id}/{number}",
            inherited_credentials=self._carried(names, target),
            inherited_texts=tuple(filter(None, (format_as_text(self._values.by_name[name]) for name in names))),
        )
        self._sent |= frozenset(iter_credentials(step))
        try:
            async with asyncio.timeout(step.timeout):
                return await self._http.observe(target, step_call, self._cookies)
        except TimeoutError:
            error, message = describe_deadline(call.clock, target.endpoint, step.timeout or 0)
            return Observation(call.clock.stop(), error=error, message=self._redactor.redact(message))

    def _carried(self, names: set[str], target: Step) -> frozenset[Credential]:
        """Return what these values were obtained with, and the session whose cookies are sent."""
        if self._sent and self._cookies.has_cookies_for(target.url):
            return self._sent
        return frozenset[Credential]().union(*(self._got_with[name] for name in names))

    async def _save(self, step: Step, seen: Observation, result: StepResult) -> Observation:
        for name, source in step.save.items():
            hides = step.is_secret_value(name)
            try:
                if result.missing is not None and result.missing.name == name:
                    raise ExtractionError(result.missing.reason)
                if isinstance(source, CookieSource):
                    value = extract_value(source, JudgedAnswer(seen, self._redactor.redact), self._cookies)
                else:
                    value = result.values[name]
                self._sizes.count_value(format_as_text(value), hides=hides)
            except ExtractionError as error:
                return with_message(seen, f"Nothing to save as {name}: {error}.", ErrorClass.STEP_FAILED)
            if hides:
                await self._hide(format_as_text(value))
                self._values.secret_names.add(name)
            self._values.by_name[name], self._got_with[name] = value, self._sent
        return seen

    async def _hide(self, text: str) -> None:
        """Hide a value from all texts until the run ends."""
        self._hidden += len(text)
        if self._hidden <= LONG_SECRET or self._redactor.is_registered(text):
            self.call.values.add(text, self._redactor)
            return
        # One run at a time: otherwise each turn of the event loop would be as long as all of them together.
        async with self._hiding:
            await register_value(text, self.call, self._redactor)
            await wait_for_turn()


_NOT_JUDGED_IN_TIME = "The response was received, but not judged before the deadline."


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> StepsCheck:
    """Build the check. Called by jobs.checks."""
    http = checks["http"]
    assert isinstance(http, HttpCheck)
    return StepsCheck(http, dependencies.redactor, dependencies.judges)


class StepsCheck:
    """Observes sequences, for one event loop."""

    def __init__(self, http: HttpCheck, redactor: Redactor, judges: Judge | None = None) -> None:
        """`judges`: judge the responses; without them the event loop does."""
        self._http = http
        self._redactor = redactor
        self._hiding = asyncio.Lock()
        self._judges = judges or InlineJudge()
        self._cleanups: set[asyncio.Task[Failure | None]] = set()

    async def observe(self, target: StepsTarget, call: AttemptContext) -> Observation:
        """Send the requests in order, then clean up; report the first unexpected response."""
        sequence = StepSequence(self._http, self._redactor, self._judges, call, self._hiding)
        try:
            failure = await sequence.run_steps(target.steps)
        except LeaseEnded:
            if sequence.step_facts:  # otherwise there is nothing to clean up but what another process makes
                self._start_cleanup(sequence, target)
            raise
        except BaseException:
            self._start_cleanup(sequence, target)
            raise
        task = self._start_cleanup(sequence, target)
        failed_cleanup = await asyncio.shield(task) if task is not None else None
        phases, facts = sequence.phases(), {"steps": sequence.step_facts, **sequence.tls_facts}
        failures = (*sequence.degraded, *([failed_cleanup] if failed_cleanup is not None else []))
        if failure is None:
            return Observation(
                phases, facts=facts, failures=failures, certificates=sequence.certificates, health=sequence.health
            )
        return Observation(
            phases,
            failure.status,
            error=failure.error,
            message=failure.message,
            body=failure.body,
            body_truncated=failure.body_truncated,
            retry_after_s=failure.retry_after_s,
            facts=facts,
            certificates=sequence.certificates,
            health=sequence.health,
        )

    def prepare(self, target: StepsTarget) -> None:
        for step in (*target.steps, *target.cleanup):
            self._http.prepare(step)

    async def aclose(self) -> None:
        """Wait for running cleanups. The owner of the HTTP check closes it."""
        if self._cleanups:
            await asyncio.wait(self._cleanups, timeout=CLEANUP_SECONDS)

    def _start_cleanup(self, sequence: StepSequence, target: StepsTarget) -> asyncio.Task[Failure | None] | None:
        """Start a task that outlives an attempt that is cancelled."""
        if not target.cleanup:
            return None
        sequence.call.values.add_user()
        task = asyncio.create_task(sequence.clean_up(target.cleanup))
        self._cleanups.add(task)
        task.add_done_callback(lambda task: self._on_cleanup_done(task, sequence))
        return task

    def _on_cleanup_done(self, task: asyncio.Task[Failure | None], sequence: StepSequence) -> None:
        self._cleanups.discard(task)
        sequence.call.values.close()
