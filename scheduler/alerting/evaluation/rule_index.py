"""Which jobs have rules that the tick must judge. Built once a set of jobs, in a thread. Used by evaluator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from jobs.alerting.evaluation import CompiledRules
from jobs.definition import JobDefinition
from scheduler.alerting.rule_book import RuleBook


@dataclass(frozen=True, slots=True)
class RuleIndex:
    """`jobs`: all with rules. `letters_within`: the longest window of rules about dead letters, zero without any."""

    book: RuleBook
    jobs: frozenset[str]
    silent: tuple[tuple[JobDefinition, CompiledRules], ...]
    with_secrets: tuple[tuple[JobDefinition, CompiledRules], ...]
    letters_within: timedelta


def index_rules(book: RuleBook) -> RuleIndex:
    """Prepare the rules of all jobs."""
    found = list(book.jobs_with_rules())
    return RuleIndex(
        book,
        frozenset(job.name for job, _ in found),
        tuple((job, rules) for job, rules in found if rules.needs.has_schedule),
        tuple((job, rules) for job, rules in found if rules.needs.has_secrets),
        max((rules.needs.dead_letters_within for _, rules in found), default=timedelta()),
    )
