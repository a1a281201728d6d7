"""Warnings about jobs that need files, secrets or settings to see. Rules that a definition alone shows are in
jobs.warnings.

Each rule is one function that takes a set of jobs and returns problems at the keys concerned: credentials that jobs
would send to hosts without permission, files and secrets that cannot be used, messages without a link, and calendars
of rotas. The program itself reports calendars in health and in its log (scheduler.alerting.rotas). Here, too, a
process with limits evaluates a calendar: that of a job file in a pull request may be hostile.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

from config.job_files.job_set import JobSet, LocatedExternalUse
from config.settings.model import Settings
from jobs.checks.binding.names import Recipient, normalize_secret_name, scope_host
from jobs.checks.binding.rules import Bindings, find_deliveries, format_rule
from jobs.checks.errors import CredentialDenied
from jobs.checks.files import UnusableFile, read_file_below
from jobs.checks.net.tls_contexts import CA_FILE_TIMEOUT, CaFiles, is_client_certificate
from jobs.checks.outbound import Outbound
from jobs.checks.port import Credential
from jobs.definition import JobDefinition
from jobs.definition.alerting_section import AlertingDefinitions, DefinedEntry
from jobs.errors import SecretUnavailable
from jobs.formats import format_count
from jobs.model_base import find_secret_names
from jobs.problems import Problem
from jobs.redaction import Redactor
from jobs.running.clocks import SystemClock
from jobs.targets import HeartbeatTarget, HttpTarget
from jobs.targets.databases import MISSING_DRIVERS, DatabaseTarget
from jobs.targets.heartbeat import SHORTEST_TOKEN

if TYPE_CHECKING:
    from config.secrets import SecretChain
    from jobs.incidents.rotas import RotaDefinition
    from jobs.judging.process import JudgingProcess


def warnings_of_denied_credentials(jobs: JobSet, bindings: Bindings) -> Iterator[Problem]:
    """Yield a warning for each secret and each token that the settings deny, and for each host.

    It is located at the key of the first job: many of ten thousand jobs can send the same to the same host.
    """
    uses_without_rule: dict[str, list[LocatedExternalUse]] = {}
    denials = _DenialReasons(bindings)
    for use in jobs.uses:
        credential = _credential_of(use.use.kind, use.use.name)
        if credential is None or not use.job.enabled:
            continue
        if reason := denials.find_reason(credential, use.job):
            uses_without_rule.setdefault(reason, []).append(use)
    for reason, uses in uses_without_rule.items():
        others = len({use.job.name for use in uses}) - 1
        more = f" {format_count(others, 'more job')} would send it there." if others else ""
        yield uses[0].problem(f"{reason}{more}")


def find_required_rules(jobs: Iterable[JobDefinition]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the rules that these jobs need: by group, then by name, the hosts.

    A token for its scope's own host needs no rule.
    """
    deliveries: dict[str, dict[str, tuple[str, ...]]] = {}
    for job in jobs:
        for sending in find_deliveries(job.check):
            kind, name = sending.credential
            group, key = ("secrets", normalize_secret_name(name)) if kind == "secret" else ("identity", name)
            hosts = (*deliveries.setdefault(group, {}).get(key, ()), *(str(place) for place in sending.recipients))
            deliveries[group][key] = tuple(dict.fromkeys(hosts))
    scopes = deliveries.get("identity", {})
    for scope in [scope for scope, hosts in scopes.items() if hosts == (scope_host(scope),)]:
        del scopes[scope]
    return deliveries


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


def warnings_of_missing_links(jobs: JobSet, settings: Settings) -> Iterator[Problem]:
    """Yield one warning, at the first channel, if channels exist and the settings have no address for links."""
    channel = next(iter(jobs.alerting.entries_of("channels")), None)
    if channel is not None and not settings.http.public_url:
        from jobs.definition.alerting_gaps import MISSING_LINKS, MISSING_LINKS_FIX  # with the models of routes

        file, _, line = channel.origin.rpartition(":")
        line_number = int(line) if line.isdigit() else None
        yield Problem("alerting.channels", MISSING_LINKS, MISSING_LINKS_FIX, file or None, line_number)


def warnings_of_options_without_effect(jobs: JobSet, outbound: Outbound) -> Iterator[Problem]:
    """Yield a warning for each option of connections that the proxy of the settings leaves without effect, at the
    first job that has it.
    """
    found: dict[str, list[str]] = {}
    for job in jobs:
        target = job.check
        if job.enabled and isinstance(target, HttpTarget) and outbound.uses_proxy(target):
            for name in [name for name, is_used in _PROXIED_OPTIONS.items() if is_used(target)]:
                found.setdefault(name, []).append(job.name)
    for name, names in found.items():
        file, _, line = jobs.origins.get(names[0], "").rpartition(":")
        more = f" in this and {format_count(len(names) - 1, 'more job')}" if len(names) > 1 else ""
        message = f"has no effect{more}: the check leaves by the proxy {outbound.proxy}, the setting outbound.proxy"
        hint = "write proxy: none to connect directly, or remove it"
        yield Problem(f"jobs.{names[0]}.check.{name}", message, hint, file or None, int(line) if line else None)


def warnings_of_missing_drivers(jobs: JobSet) -> Iterator[Problem]:
    """Yield a warning for each kind of database whose driver is not installed, at the first job of the kind."""
    first: dict[str, tuple[str, str]] = {}
    for job in jobs:
        if job.enabled and isinstance(job.check, DatabaseTarget):
            first.setdefault(job.check.kind, (job.name, job.check.DRIVER))
    for kind, (name, driver) in first.items():
        if find_spec(driver) is None:
            file, _, line = jobs.origins.get(name, "").rpartition(":")
            message = f"checks of kind {kind} fail here: {MISSING_DRIVERS}"
            yield Problem(f"jobs.{name}.check", message, "", file or None, int(line) if line else None)


_PROXIED_OPTIONS: Mapping[str, Callable[[HttpTarget], bool]] = {
    "ip_version": lambda target: bool(target.ip_version),
    "connection": lambda target: target.connection == "kept",
}

_PARTS = ("channels", "on_call")


@dataclass(frozen=True, slots=True)
class AlertingSecretUse:
    """A secret of an entry of the section `alerting`."""

    name: str
    part: str
    entry: DefinedEntry

    def problem(self, message: str, hint: str = "") -> Problem:
        """Return a problem in the line of the entry."""
        file, _, line = self.entry.origin.rpartition(":")
        key = f"alerting.{self.part}.{self.entry.name}"
        return Problem(key, message, hint, file or None, int(line) if line.isdigit() else None)


def find_alerting_secrets(alerting: AlertingDefinitions) -> Iterator[AlertingSecretUse]:
    for part in _PARTS:
        for entry in alerting.entries_of(part):
            for name in sorted(find_secret_names(entry.value)):
                yield AlertingSecretUse(name, part, entry)


SECRET_CHECKS_TIMEOUT = 20.0
"""Seconds for all secrets together: a pipeline must not wait for a vault that does not answer."""
CA_FILE_CHECKS_TIMEOUT = 10.0
"""Seconds for all CA files together."""
_MAX_CONCURRENT_LOOKUPS = 8
"""Secrets that are looked up at a time."""

_SecretUse = LocatedExternalUse | AlertingSecretUse


def warnings_of_unusable_files(jobs: JobSet, files: CaFiles) -> Iterator[Problem]:
    """Yield a warning for each `ca_file` that cannot be used. Blocks, for FILES_DEADLINE at most."""
    reasons: dict[str, str] = {}
    deadline = time.monotonic() + CA_FILE_CHECKS_TIMEOUT
    for use in jobs.uses:
        if use.use.kind != "ca_file":
            continue
        path = use.use.name
        if path not in reasons:
            reasons[path] = files.describe_problem(path, min(CA_FILE_TIMEOUT, deadline - time.monotonic()))
        if reasons[path]:
            hint = "correct the path" if os.path.isabs(path) else f"relative paths start from {os.getcwd()}"
            yield use.problem(f"the CA file {path} cannot be used: {reasons[path]}", hint)


def warnings_of_unusable_secrets(jobs: JobSet, settings: Settings, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """Return a warning for each secret that cannot be read from where the settings say, within SECRETS_DEADLINE, or
    that is not what a job needs. Those of channels and rotas are among them.

    For a thread without an event loop.
    """
    uses_by_secret: dict[str, list[_SecretUse]] = {}
    for use in jobs.uses:
        if use.use.kind == "secret" and use.job.enabled:  # a disabled job needs nothing
            uses_by_secret.setdefault(use.use.name, []).append(use)
    for other in find_alerting_secrets(jobs.alerting):
        uses_by_secret.setdefault(other.name, []).append(other)
    if not uses_by_secret:
        return ()
    return tuple(filter(None, asyncio.run(_check_secrets(uses_by_secret, settings, environ)).values()))


async def _check_secrets(
    uses_by_secret: Mapping[str, list[_SecretUse]], settings: Settings, environ: Mapping[str, str]
) -> dict[str, Problem | None]:
    """A warning for each secret, by its name; None if it is well."""
    from config.identity import AppIdentity
    from config.secrets import build_secrets

    clock = SystemClock()
    identity = AppIdentity(settings, clock=clock)
    chain = build_secrets(settings, identity, Redactor(), clock, environ=environ)
    try:
        places = asyncio.Semaphore(_MAX_CONCURRENT_LOOKUPS)
        tasks = {
            name: asyncio.create_task(_check_secret(name, uses_by_secret[name], chain, places))
            for name in uses_by_secret
        }
        _, late = await asyncio.wait(tasks.values(), timeout=SECRET_CHECKS_TIMEOUT)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        late_message = f"could not be looked up within {SECRET_CHECKS_TIMEOUT:g} s"
        return {
            name: uses_by_secret[name][0].problem(f"secret {name}: {late_message}") if task in late else task.result()
            for name, task in tasks.items()
        }
    finally:
        await chain.aclose()
        await identity.aclose()


async def _check_secret(
    name: str, secret_uses: list[_SecretUse], chain: SecretChain, places: asyncio.Semaphore
) -> Problem | None:
    async with places:
        try:
            value = await chain.get_secret(name)
        except SecretUnavailable as error:
            # Some of the chain's sentences begin with the name.
            return secret_uses[0].problem(f"secret {name}: {str(error).removeprefix(f'secret {name}: ')}")
    for use in secret_uses:
        if (message := _unfit_reason(use, value)) is not None:
            return use.problem(f"secret {name}: {message}")
    return None


def _unfit_reason(use: _SecretUse, value: str) -> str | None:
    """Why a secret's value cannot be what the job needs; never the value."""
    if isinstance(use, AlertingSecretUse):
        return None
    if isinstance(use.job.check, HeartbeatTarget) and len(value) < SHORTEST_TOKEN:
        return f"it is too short for a token: at least {SHORTEST_TOKEN} characters"
    if use.use.path[-1] == "client_certificate" and not is_client_certificate(value):
        return "it holds no client certificate with its key, both in PEM form and the key not encrypted"
    return None


_MAX_NAMED = 5
"""Titles of shifts that a warning names."""


def warnings_of_unusable_rotas(jobs: JobSet, now: datetime) -> Iterator[Problem]:
    """Yield a warning for each file that is not a calendar, or whose shifts name no person. Blocks.

    The calendar of a URL is read by the program alone: health reports what is wrong with it.
    """
    entries = [entry for entry in jobs.alerting.entries_of("on_call") if entry.value.file is not None]
    if not entries:
        return
    from jobs.incidents.rota_calendar import CALENDAR_BYTES
    from jobs.judging.process import JudgingProcess

    process = JudgingProcess(CALENDAR_BYTES)
    try:
        for entry in entries:
            yield from _check_file(entry, now, process)
    finally:
        process.stop()


def _check_file(entry: DefinedEntry, now: datetime, process: JudgingProcess) -> Iterator[Problem]:
    from jobs.incidents.rota_calendar import MAX_CALENDAR_BYTES

    definition = entry.value
    name = f"the calendar {definition.file}"
    try:
        content, _ = read_file_below(entry.folder, definition.file, MAX_CALENDAR_BYTES)
    except UnusableFile as error:
        hint = f"its path starts from the folder of the job file, {entry.folder}" if entry.folder else ""
        yield _problem(entry, f"{name} cannot be read: {error}", hint)
        return
    unknown = _find_unknown_titles(definition, content or b"", now, process)
    if isinstance(unknown, str):
        yield _problem(entry, f"{name} cannot be used: {unknown}", "")
    elif unknown:
        more = f" and {len(unknown) - _MAX_NAMED} more" if len(unknown) > _MAX_NAMED else ""
        message = f"{name} has shifts that name no person of the rota: {', '.join(unknown[:_MAX_NAMED])}{more}"
        yield _problem(entry, message, "add the person to people; otherwise is notified in these shifts")


def _find_unknown_titles(
    definition: RotaDefinition, content: bytes, now: datetime, process: JudgingProcess
) -> tuple[str, ...] | str:
    """Return the titles of shifts that name no person, or why the calendar cannot be used."""
    from jobs.incidents.rota_calendar import CALENDAR_SECONDS
    from jobs.incidents.rotas import HANDOVER_IN_SIGHT
    from jobs.judging.calendar_task import CalendarTask  # loads the models of rotas
    from jobs.judging.process import ProcessStartError, TaskDone, TaskStopped
    from jobs.judging.service import perform_in_thread

    task = CalendarTask.of(definition, content, now, now + HANDOVER_IN_SIGHT, now)
    try:
        outcome = process.perform(task, CALENDAR_SECONDS)
    except ProcessStartError:
        outcome = perform_in_thread(task, CALENDAR_SECONDS)
    if isinstance(outcome, TaskDone):
        result = task.unpack(outcome.packed, str)
    elif isinstance(outcome, TaskStopped):
        result = task.undecided(outcome.part, outcome.why)
    else:
        result = f"its evaluation failed: {outcome.error}"
    return result if isinstance(result, str) else result.unknown_titles


def _problem(entry: DefinedEntry, message: str, hint: str) -> Problem:
    file, _, line = entry.origin.rpartition(":")
    key = f"alerting.on_call.{entry.name}.file"
    return Problem(key, message, hint, file or None, int(line) if line.isdigit() else None)
