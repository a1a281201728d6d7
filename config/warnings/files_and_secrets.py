"""Warnings about jobs that need files or secrets to see. Called by scheduler.cli.commands.validate and by
scheduler.app.

Each rule is one function that takes a set of jobs and returns problems at the keys concerned. Rules that a definition
alone shows are in jobs.warnings.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping

from config.identity import AppIdentity
from config.job_files.job_set import JobSet, LocatedExternalUse
from config.secrets import SecretChain, build_secrets
from config.settings.model import Settings
from config.warnings.alerting_secrets import AlertingSecretUse, find_alerting_secrets
from jobs.checks.files.ca_files import CA_FILE_TIMEOUT, CaFiles
from jobs.checks.net.tls_contexts import is_client_certificate
from jobs.errors import SecretUnavailable
from jobs.problems import Problem
from jobs.redaction import Redactor
from jobs.running.clocks import SystemClock
from jobs.targets import HeartbeatTarget
from jobs.targets.heartbeat import SHORTEST_TOKEN

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
    uses: dict[str, list[_SecretUse]] = {}
    for use in jobs.uses:
        if use.use.kind == "secret" and use.job.enabled:  # a disabled job needs nothing
            uses.setdefault(use.use.name, []).append(use)
    for other in find_alerting_secrets(jobs.alerting):
        uses.setdefault(other.name, []).append(other)
    if not uses:
        return ()
    return tuple(filter(None, asyncio.run(_check_secrets(uses, settings, environ)).values()))


async def _check_secrets(
    uses: Mapping[str, list[_SecretUse]], settings: Settings, environ: Mapping[str, str]
) -> dict[str, Problem | None]:
    """A warning for each secret, by its name; None if it is well."""
    clock = SystemClock()
    identity = AppIdentity(settings, clock=clock)
    chain = build_secrets(settings, identity, Redactor(), clock, environ=environ)
    try:
        places = asyncio.Semaphore(_MAX_CONCURRENT_LOOKUPS)
        tasks = {name: asyncio.create_task(_check_secret(name, uses[name], chain, places)) for name in uses}
        _, late = await asyncio.wait(tasks.values(), timeout=SECRET_CHECKS_TIMEOUT)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        late_message = f"could not be looked up within {SECRET_CHECKS_TIMEOUT:g} s"
        return {
            name: uses[name][0].problem(f"secret {name}: {late_message}") if task in late else task.result()
            for name, task in tasks.items()
        }
    finally:
        await chain.aclose()
        await identity.aclose()


async def _check_secret(
    name: str, uses: list[_SecretUse], chain: SecretChain, places: asyncio.Semaphore
) -> Problem | None:
    async with places:
        try:
            value = await chain.get_secret(name)
        except SecretUnavailable as error:
            # Some of the chain's sentences begin with the name.
            return uses[0].problem(f"secret {name}: {str(error).removeprefix(f'secret {name}: ')}")
    for use in uses:
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
