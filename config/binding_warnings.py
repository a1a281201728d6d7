"""What jobs would send to hosts that the settings do not let have it. Called by scheduler.app and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from config.job_set import JobSet, LocatedUse
from jobs.checks.binding.hosts import Place
from jobs.checks.binding.names import plain_secret
from jobs.checks.binding.recipients import sendings
from jobs.checks.binding.rules import Bindings, rule_text
from jobs.checks.binding.scopes import scope_host
from jobs.checks.errors import CredentialDenied
from jobs.checks.port import Credential
from jobs.definition import JobDefinition
from jobs.problems import Problem


def denied_sendings(jobs: JobSet, bindings: Bindings) -> Iterator[Problem]:
    """Yield a warning for each secret and each token that jobs would not be let send, and for each place.

    It stands at the key of the first job; of ten thousand jobs, many may send the same to the same place.
    """
    found: dict[str, list[LocatedUse]] = {}
    denials = _Denials(bindings)
    for use in jobs.uses:
        credential = _credential(use.use.kind, use.use.name)
        if credential is None or not use.job.enabled:
            continue
        if reason := denials.of(credential, use.job):
            found.setdefault(reason, []).append(use)
    for reason, uses in found.items():
        others = len({use.job.name for use in uses}) - 1
        more = f" {others} more {'job' if others == 1 else 'jobs'} would send it there." if others else ""
        yield uses[0].problem(f"{reason.removeprefix('Not asked: ')}{more}")


def needed_rules(jobs: Iterable[JobDefinition]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the rules by which all of these jobs may send what they do: by group, then by name, the hosts.

    A token for the very host that gets it needs none.
    """
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for job in jobs:
        for sending in sendings(job.check):
            kind, name = sending.credential
            group, key = ("secrets", plain_secret(name)) if kind == "secret" else ("identity", name)
            hosts = (*found.setdefault(group, {}).get(key, ()), *(str(place) for place in sending.places))
            found[group][key] = tuple(dict.fromkeys(hosts))
    scopes = found.get("identity", {})
    for scope in [scope for scope, hosts in scopes.items() if hosts == (scope_host(scope),)]:
        del scopes[scope]
    return found


def rules_text(rules: Mapping[str, Mapping[str, Iterable[str]]]) -> str:
    """Return rules as lines of a settings file."""
    lines: list[str] = []
    for group in sorted(rules, reverse=True):
        lines += [f"{group}:", "  allow:"]
        lines += [f"    {rule_text(name, hosts)}" for name, hosts in sorted(rules[group].items())]
    return "\n".join(lines)


def _credential(kind: str, name: str) -> Credential | None:
    if kind == "secret":
        return Credential("secret", name)
    return Credential("scope", name) if kind == "scope" else None


class _Denials:
    """Why a job may not send something; remembered, as many jobs send the same to the same places."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._known: dict[object, str] = {}

    def of(self, credential: Credential, job: JobDefinition) -> str:
        """Return the reason, for all places together, so that one change of the settings is enough; empty if it may."""
        found = [sending for sending in sendings(job.check) if sending.credential == credential]
        places = tuple(dict.fromkeys(place for sending in found for place in sending.places))
        if not places:  # a heartbeat's token is not sent, and of a step an answer may say where to
            return ""
        key = (credential, places, tuple(job.tags.items()))
        if key not in self._known:
            self._known[key] = self._judged(credential, places, job)
        return self._known[key]

    def _judged(self, credential: Credential, places: tuple[Place, ...], job: JobDefinition) -> str:
        try:
            self._bindings.check(credential, places, job.tags)
        except CredentialDenied as denied:
            return str(denied)
        return ""
