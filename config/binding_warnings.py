"""What jobs would send to hosts that the settings do not let have it. Called by scheduler.app and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from config.job_set import JobSet
from jobs.checks.binding.names import plain_secret
from jobs.checks.binding.recipients import Sending, sendings
from jobs.checks.binding.rules import Bindings, SecretDenied, rule_text
from jobs.checks.binding.scopes import scope_host
from jobs.checks.port import Credential
from jobs.definition import JobDefinition
from jobs.problems import Problem


def denied_sendings(jobs: JobSet, bindings: Bindings) -> Iterator[Problem]:
    """Yield a warning for each secret and each token that a job would not be let send, at the key that names it."""
    for use in jobs.uses:
        credential = _credential(use.use.kind, use.use.name)
        if credential is None or not use.job.enabled:
            continue
        if reason := _denial(_of(use.job, credential), bindings, use.job.tags):
            yield use.problem(reason.removeprefix("Not asked: "))


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


def _of(job: JobDefinition, credential: Credential) -> list[Sending]:
    return [sending for sending in sendings(job.check) if sending.credential == credential]


def _denial(found: Iterable[Sending], bindings: Bindings, tags: Mapping[str, str]) -> str:
    """Why one of these may not be sent; of all of them together, so that one change of the settings mends it."""
    places = tuple(dict.fromkeys(place for sending in found for place in sending.places))
    for sending in found:
        try:
            bindings.check(sending.credential, places, tags)
        except SecretDenied as denied:
            return str(denied)
    return ""
