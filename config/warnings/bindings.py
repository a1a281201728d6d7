"""What jobs would send to hosts that the settings do not let have it. Called by scheduler.app and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from config.job_files.job_set import JobSet, LocatedExternalUse
from jobs.checks.binding.host_patterns import Recipient
from jobs.checks.binding.recipients import find_deliveries
from jobs.checks.binding.rules import Bindings, format_rule
from jobs.checks.binding.scopes import scope_host
from jobs.checks.binding.secret_names import normalize_secret_name
from jobs.checks.errors import CredentialDenied
from jobs.checks.port import Credential
from jobs.definition import JobDefinition
from jobs.problems import Problem


def warnings_of_denied_credentials(jobs: JobSet, bindings: Bindings) -> Iterator[Problem]:
    """Yield a warning for each secret and each token that jobs would not be let send, and for each place.

    It stands at the key of the first job; of ten thousand jobs, many may send the same to the same place.
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
        more = f" {others} more {'job' if others == 1 else 'jobs'} would send it there." if others else ""
        yield uses[0].problem(f"{reason}{more}")


def find_required_rules(jobs: Iterable[JobDefinition]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the rules by which all of these jobs may send what they do: by group, then by name, the hosts.

    A token for the very host that gets it needs none.
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
    """Why a job may not send something; remembered, as many jobs send the same to the same places."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._reasons: dict[object, str] = {}

    def find_reason(self, credential: Credential, job: JobDefinition) -> str:
        """Return the reason, for all places together, so that one change of the settings is enough; empty if it may."""
        found = [sending for sending in find_deliveries(job.check) if sending.credential == credential]
        places = tuple(dict.fromkeys(place for sending in found for place in sending.recipients))
        if not places:  # a heartbeat's token is not sent, and of a step an answer may say where to
            return ""
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
