"""Warnings of credentials that jobs would send to hosts without permission.

Called by scheduler.app and the commands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from config.job_files.job_set import JobSet, LocatedExternalUse
from jobs.checks.binding.names import Recipient, normalize_secret_name, scope_host
from jobs.checks.binding.recipients import find_deliveries
from jobs.checks.binding.rules import Bindings, format_rule
from jobs.checks.errors import CredentialDenied
from jobs.checks.port import Credential
from jobs.definition import JobDefinition
from jobs.formats.counts import format_count
from jobs.problems import Problem


def warnings_of_denied_credentials(jobs: JobSet, bindings: Bindings) -> Iterator[Problem]:
    """Yield a warning for each secret and each token that the settings deny, and for each host.

    It is located at the key of the first job: many of ten thousand jobs can send the same to the same host.
    """
    found: dict[str, list[LocatedExternalUse]] = {}
    denials = _DenialReasons(bindings)
    for use in jobs.uses:
        credential = _credential_of(use.use.kind, use.use.name)
        if credential is None or not use.job.enabled:
            continue
        if reason := denials.find_reason(credential, use.job):
            found.setdefault(reason, []).append(use)
    for reason, uses in found.items():
        others = len({use.job.name for use in uses}) - 1
        more = f" {format_count(others, 'more job')} would send it there." if others else ""
        yield uses[0].problem(f"{reason}{more}")


def find_required_rules(jobs: Iterable[JobDefinition]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the rules that these jobs need: by group, then by name, the hosts.

    A token for its scope's own host needs no rule.
    """
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for job in jobs:
        for sending in find_deliveries(job.check):
            kind, name = sending.credential
            group, key = ("secrets", normalize_secret_name(name)) if kind == "secret" else ("identity", name)
            hosts = (*found.setdefault(group, {}).get(key, ()), *(str(place) for place in sending.recipients))
            found[group][key] = tuple(dict.fromkeys(hosts))
    scopes = found.get("identity", {})
    for scope in [scope for scope, hosts in scopes.items() if hosts == (scope_host(scope),)]:
        del scopes[scope]
    return found


def format_rules(rules: Mapping[str, Mapping[str, Iterable[str]]]) -> str:
    """Return rules as lines of a settings file."""
    lines: list[str] = []
    for group in sorted(rules, reverse=True):
        lines += [f"{group}:", "  allow:"]
        lines += [f"    {format_rule(name, hosts)}" for name, hosts in sorted(rules[group].items())]
    return "\n".join(lines)


def _credential_of(kind: str, name: str) -> Credential | None:
    if kind == "secret":
        return Credential("secret", name)
    return Credential("scope", name) if kind == "scope" else None


class _DenialReasons:
    """Finds why a job must not send a credential. Caches, because many jobs send the same to the same hosts."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._reasons: dict[object, str] = {}

    def find_reason(self, credential: Credential, job: JobDefinition) -> str:
        """Return the reason for all hosts together, so that one change of the settings is enough; empty if allowed."""
        found = [sending for sending in find_deliveries(job.check) if sending.credential == credential]
        places = tuple(dict.fromkeys(place for sending in found for place in sending.recipients))
        if not places:  # a heartbeat's token is not sent, and of a step an answer may say where to
            is_admitted = credential.kind != "secret" or self._bindings.admits_tags(credential.name, job.tags)
            return "" if is_admitted else f"the secret {credential.name} is only for jobs with another tag."
        key = (credential, places, tuple(job.tags.items()))
        if key not in self._reasons:
            self._reasons[key] = self._check_places(credential, places, job)
        return self._reasons[key]

    def _check_places(self, credential: Credential, places: tuple[Recipient, ...], job: JobDefinition) -> str:
        try:
            self._bindings.check(credential, places, job.tags)
        except CredentialDenied as denied:
            return denied.reason
        return ""
