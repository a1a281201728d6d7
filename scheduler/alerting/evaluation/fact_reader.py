"""Reads what the conditions of a job need in addition to its samples. Used by evaluator.

Each source is a port of the program; only what `AlertNeeds` requires is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from jobs.alerting.evaluation import CompiledRules
from jobs.alerting.facts import AlertNeeds, CircuitFact, SampleHistory, SecretExpiryFact, SubjectFacts
from jobs.definition import JobDefinition
from jobs.ports import CircuitStateStore
from jobs.running.circuit_breaker.state import CircuitCondition, load_state
from scheduler.alerting.evaluation.burn_rates.run_counts import RunCountReader
from scheduler.stores.dead_letters import DeadLetters

MAX_LETTERS = 1000
"""Dead letters of a job that are counted."""

SecretExpiries = Callable[[JobDefinition], Sequence[SecretExpiryFact]]


class FactReader:
    """Raises StoreError."""

    def __init__(
        self,
        circuits: CircuitStateStore,
        dead_letters: DeadLetters,
        secret_expiries: SecretExpiries,
        run_counts: RunCountReader,
    ) -> None:
        self._circuits = circuits
        self._dead_letters = dead_letters
        self._secret_expiries = secret_expiries
        self._run_counts = run_counts

    async def read(self, job: JobDefinition, needs: AlertNeeds, now: datetime) -> SubjectFacts:
        """Return what is needed, apart from the schedule."""
        facts = SubjectFacts()
        if needs.has_circuit:
            facts = replace(facts, circuit=await self._read_circuit(job, now))
        if needs.has_secrets:
            facts = replace(facts, secrets=tuple(self._secret_expiries(job)))
        if needs.dead_letters_within:
            facts = replace(facts, dead_letters=await self._read_letters(job.name, now - needs.dead_letters_within))
        if needs.counts_within:
            facts = replace(facts, run_counts=await self._run_counts.read(job, needs.counts_within, now))
        return facts

    async def list_jobs_with_letters(self, now: datetime, within: timedelta) -> set[str]:
        """Return the jobs that have dead letters of this time, as far as the newest MAX_LETTERS show it."""
        letters = await self._dead_letters.list_letters(limit=MAX_LETTERS)
        return {each.ticket.job for each in letters if each.ticket is not None and each.at > now - within}

    def list_jobs_with_expiring_secrets(
        self, jobs: Iterable[tuple[JobDefinition, CompiledRules]], now: datetime
    ) -> set[str]:
        """Return those of these jobs for which a rule about the expiry of secrets is met."""
        return {job.name for job, rules in jobs if self._is_expiring(job, rules, now)}

    def _is_expiring(self, job: JobDefinition, rules: CompiledRules, now: datetime) -> bool:
        facts = SubjectFacts(secrets=tuple(self._secret_expiries(job)))
        history = SampleHistory()
        about_secrets = (rule for rule in rules.rules if rule.needs.has_secrets)
        return any(rule.when.judge(history, facts, now, False, rule.thresholds).is_met for rule in about_secrets)

    async def _read_circuit(self, job: JobDefinition, now: datetime) -> CircuitFact:
        if job.circuit_key is None:
            return CircuitFact(False)
        text, _ = await self._circuits.load(job.circuit_key)
        state = load_state(text)
        override = state.active_override(now)
        if override is not None:
            return CircuitFact(override.is_open, override.since)
        return CircuitFact(state.condition is not CircuitCondition.CLOSED, state.since)

    async def _read_letters(self, job: str, since: datetime) -> tuple[datetime, ...]:
        found: list[datetime] = []
        after = ""
        while len(found) < MAX_LETTERS:
            page = await self._dead_letters.read_page(job=job, limit=100, after=after)
            times = [letter.at for letter in page.letters]
            found += [each for each in times if each > since]
            if page.continuation is None or any(each <= since for each in times):
                break
            after = page.continuation
        return tuple(found)
