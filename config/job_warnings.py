"""Warnings about jobs that need files or secrets to see. Called by scheduler.cli.validate and by scheduler.app.

Each rule is one function that takes a set of jobs and returns problems at the keys concerned. Rules that a definition
alone shows are in jobs.warnings.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterator, Mapping

from config.identity import Identity
from config.job_set import JobSet, LocatedUse
from config.secrets import SecretChain, build_secrets
from config.settings import Settings
from jobs.errors import SecretUnavailable
from jobs.problems import Problem
from jobs.redaction import Redactor
from jobs.running.clock import SystemClock

SECRETS_DEADLINE = 20.0
"""Seconds for all secrets together: a pipeline must not wait for a vault that does not answer."""
_MAX_CONCURRENT = 8
"""Secrets that are looked up at a time."""


def unusable_files(jobs: JobSet) -> Iterator[Problem]:
    """Yield a warning for each `ca_file` that cannot be used."""
    reasons: dict[str, str] = {}
    for use in jobs.uses:
        if use.use.kind != "ca_file":
            continue
        path = use.use.name
        if path not in reasons:
            reasons[path] = _why_unusable(path)
        if reasons[path]:
            hint = "correct the path" if os.path.isabs(path) else f"relative paths start from {os.getcwd()}"
            yield use.problem(f"the CA file {path} cannot be used: {reasons[path]}", hint)


def _why_unusable(path: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "it holds no certificate in PEM form"
    except OSError as error:
        return (error.strerror or "it cannot be read").lower()
    return ""


def unavailable_secrets(jobs: JobSet, settings: Settings, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """Return a warning for each secret that cannot be read from where the settings say, within SECRETS_DEADLINE.

    For a thread without an event loop.
    """
    first_uses: dict[str, LocatedUse] = {}
    for use in jobs.uses:
        # Samples are for a desk; a disabled job needs nothing.
        if use.use.kind == "secret" and use.job.enabled:
            first_uses.setdefault(use.use.name, use)
    if not first_uses:
        return ()
    reasons = asyncio.run(_reasons(list(first_uses), settings, environ))
    warned = [(name, use) for name, use in first_uses.items() if reasons[name]]
    # The chain's sentences begin with the name, as they are also shown without the key.
    return tuple(
        use.problem(f"secret {name}: {reasons[name].removeprefix(f'secret {name}: ')}") for name, use in warned
    )


async def _reasons(names: list[str], settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Why each secret cannot be read; empty texts for those that can."""
    clock = SystemClock()
    identity = Identity(settings, clock=clock)
    chain = build_secrets(settings, identity, Redactor(), clock, environ=environ)
    try:
        places = asyncio.Semaphore(_MAX_CONCURRENT)
        tasks = {name: asyncio.create_task(_reason(name, chain, places)) for name in names}
        _, late = await asyncio.wait(tasks.values(), timeout=SECRETS_DEADLINE)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        late_reason = f"could not be looked up within {SECRETS_DEADLINE:g} s"
        return {name: late_reason if task in late else task.result() for name, task in tasks.items()}
    finally:
        await chain.aclose()
        await identity.aclose()


async def _reason(name: str, chain: SecretChain, places: asyncio.Semaphore) -> str:
    async with places:
        try:
            await chain.get(name)
        except SecretUnavailable as error:
            return str(error)
        return ""
