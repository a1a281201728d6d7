"""`plan`: write what the job files of this working copy would change in an environment, for the person who approves."""

from __future__ import annotations

import sys
from pathlib import Path

from delivery.az import Execute
from delivery.context import Context
from delivery.environment import EXAMPLE_SUBSCRIPTION
from delivery.errors import DeliveryError, UnusableInput

ROOT = Path(__file__).resolve().parents[3]
PLAN_TIMEOUT = 600.0
"""Seconds; the first call of `./dev` installs the program's packages."""
NO_CHANGES, INVALID, CHANGES = 0, 2, 3
"""Exit codes of `python -m scheduler plan`."""


def plan(context: Context, jobs: Path, report: Path, execute: Execute) -> None:
    """Compare job files with those that the environment runs, and write the report as Markdown.

    An environment that does not run yet, or a version that cannot plan, is a warning in the report, so that it can be
    released. With own authentication the key `read` is sufficient, as a plan changes nothing. Raises UnusableInput if a
    job file is invalid, DeliveryError if a key is refused.
    """
    environment = context.environment
    keys = environment.keys
    context.require_keys("read", *(["operate"] if keys.are_function_keys else []))
    command = [sys.executable, str(ROOT / "dev"), "cli", "plan", str(jobs), "--url", environment.url]
    change_key = keys.operate if keys.are_function_keys else keys.read
    command += ["--key-variable", change_key, "--read-key-variable", keys.read]
    command += ["--if-available", "--markdown"]
    shown = ["./dev", *command[2:]]
    context.reporter.report(f"$ {' '.join(shown)}")
    if context.dry_run:
        context.reporter.report(f"write {report}")
        return
    if environment.subscription == EXAMPLE_SUBSCRIPTION:
        raise UnusableInput(f"infra/environments/{environment.name}.json is an example: enter your own app in it.")
    try:
        completed = execute(command, PLAN_TIMEOUT)
    except TimeoutError:
        raise DeliveryError(f"the plan of {environment.name} did not end within {PLAN_TIMEOUT:g} s") from None
    if completed.code not in (NO_CHANGES, CHANGES):
        failure = UnusableInput if completed.code == INVALID else DeliveryError
        raise failure(f"the plan of {environment.name} ended with {completed.code}:\n{completed.errors.strip()}")
    report.write_text(context.reporter.redact(completed.output), encoding="utf-8")
    if completed.errors.strip():
        context.reporter.report(completed.errors.strip())
    result = completed.output.partition("\n")[0].lstrip("# ")
    context.reporter.report(f"{environment.name}: {result}; see {report}")
