"""What a written job may name: secrets, tokens of heartbeats, groups and channels of others, literal credentials. Pure.

For a caller that is limited to tags, what only jobs of others use belongs to them. Called by visibility and committing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from jobs.alerting.rule import Escalation
from jobs.checks.binding.names import normalize_secret_name
from jobs.checks.binding.rules import Bindings
from jobs.definition import JobDefinition
from jobs.problems import KeyPath, Problem, dotted_path
from jobs.targets import HeartbeatTarget
from jobs.warnings.credentials import find_literal_credentials
from scheduler.catalog.composition import JobSources
from scheduler.catalog.written_jobs import LocatedStoredJob
from scheduler.identity.principal import Caller, Principal


class _Notifying(Protocol):
    @property
    def notify(self) -> Sequence[str]: ...

    @property
    def escalate(self) -> Sequence[Escalation]: ...


_Use = tuple[str, str]
"""The kind, such as `group`, and the name."""
_ALLOW_LITERAL = "or accept it with ?allow_literal=true, which is --allow-literal of the commands"


@dataclass(frozen=True, slots=True)
class OtherUses:
    """What jobs name that do not exist for a caller, and no job does that exists for it."""

    uses: frozenset[_Use] = frozenset()

    @classmethod
    def find(cls, sources: JobSources, caller: Caller) -> OtherUses:
        """Return nothing for a caller that sees all jobs."""
        if not caller.principal.tags:
            return cls()
        jobs = [one.job for one in sources.index.jobs.values()]
        jobs += [one.located.job for one in sources.stored.values() if one.located is not None]
        own, others = set[_Use](), set[_Use]()
        for job in jobs:
            is_own = caller.principal.sees(job.tags)
            (own if is_own else others).update(use for _, use in _uses_of(job))
        declared = {("group", group.name) for group in sources.index.groups}
        return cls(frozenset(others - own - declared))


def find_uses_of_others(
    located: LocatedStoredJob, others: OtherUses, bindings: Bindings, principal: Principal
) -> Iterator[Problem]:
    """Yield what the job names and its author must not use. A message does not tell why: it would name a use."""
    for key, (kind, name) in _uses_of(located.job):
        if (kind, name) in others.uses:
            yield Problem(key, *_describe(kind, name))
    tags = principal.own_tags(located.job.tags)
    for use in located.uses:
        if use.kind == "secret" and not bindings.admits_tags(use.name, tags):
            yield Problem(dotted_path(*use.path), *_describe("secret", use.name))


def find_literal_warnings(located: LocatedStoredJob) -> Iterator[Problem]:
    """Yield the warnings of `validate` about literal credentials, as problems."""
    messages = {finding.message for finding in find_literal_credentials(located.job)}
    for warning in located.warnings if messages else ():
        if warning.message in messages:
            yield Problem(warning.key, warning.message, f"{warning.hint}; {_ALLOW_LITERAL}")


def _uses_of(job: JobDefinition) -> Iterator[tuple[str, _Use]]:
    """Yield each key with what it names."""
    if job.concurrency_group is not None:
        yield "concurrency_group", ("group", job.concurrency_group.name)
    if job.circuit is not None and job.circuit.group is not None:
        yield "circuit.group", ("group", job.circuit.group)
    if isinstance(job.check, HeartbeatTarget):
        yield "check.token", ("secret", normalize_secret_name(job.check.token.secret))
    for index, rule in enumerate(job.alerts or ()):
        yield from _channels_in(("alerts", index), rule)
    burn = job.slo.alerts if job.slo is not None else None
    for name, options in () if burn is None else (("page", burn.page), ("ticket", burn.ticket)):
        if options is not None:
            yield from _channels_in(("slo", "alerts", name), options)


def _channels_in(path: KeyPath, rule: _Notifying) -> Iterator[tuple[str, _Use]]:
    places = [((*path, "notify"), rule.notify)]
    places += [((*path, "escalate", step, "notify"), each.notify) for step, each in enumerate(rule.escalate)]
    for place, names in places:
        for position, name in enumerate(names):
            yield dotted_path(*(place if len(names) == 1 else (*place, position))), ("channel", name)


def _describe(kind: str, name: str) -> tuple[str, str]:
    """Return message and hint. Those of a channel are the same if it does not exist."""
    if kind == "channel":
        return f"there is no channel {name}", "define it in alerting.channels of a job file, or name another one"
    return f"the {kind} {name} is not for this job", "name another one"
