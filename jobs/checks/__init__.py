"""The kinds of checks: a new one is a file beside this one and a line below. Built by scheduler.app."""

from __future__ import annotations

from jobs.checks.guard import Guard
from jobs.checks.port import Call, Check
from jobs.ports import Secrets, Tokens
from jobs.redaction import Redactor
from jobs.runs import Observation
from jobs.targets import Target


class Checks(dict[str, Check]):
    """Every check by its kind; together they are one."""

    async def observe(self, target: Target, call: Call) -> Observation:
        """Ask the target by the check of its kind."""
        return await self[target.kind].observe(target, call)

    async def aclose(self) -> None:
        """Close them all."""
        for check in self.values():
            await check.aclose()


def build_checks(
    secrets: Secrets, tokens: Tokens, redactor: Redactor, *, guard: Guard, user_agent: str = "scheduler"
) -> Checks:
    """All checks. `guard`: where they may connect to. `user_agent`: how HTTP targets see this program, such as
    `scheduler/1.2.3`."""
    from jobs.checks.http import HttpCheck

    return Checks(http=HttpCheck(secrets, tokens, redactor, guard=guard, user_agent=user_agent))
