"""Run the checks of targets, one kind a module in jobs.checks.kinds. Built by scheduler.app.

A new kind needs its model with a line in jobs.targets, and a module here that is called like the kind.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.checks.dependencies import CheckDependencies
    from jobs.checks.port import AttemptContext, Check
    from jobs.runs import Observation
    from jobs.targets import Target

# httpx's command line would load rich and pygments, 3 MiB.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None: the module does not exist


class Checks(dict[str, "Check"]):
    """All checks by kind. A check is built, and its libraries loaded, on its first use."""

    def __init__(self, dependencies: CheckDependencies) -> None:
        """`dependencies`: closed with the checks."""
        super().__init__()
        self._dependencies = dependencies

    def __missing__(self, kind: str) -> Check:
        """Build the check. Raises KeyError for an unknown kind."""
        check = self[kind] = _builder_of(kind)(self._dependencies, self)
        return check

    def prepare(self, targets: Iterable[Target]) -> None:
        """Load what observations of these targets need.

        Libraries take a tenth of a second and more to load, which would count as the target's response time. Unknown
        kinds are skipped: the run reports them.
        """
        for target in targets:
            try:
                check = self[target.kind]
            except KeyError:
                continue
            check.prepare(target)

    async def observe(self, target: Target, attempt: AttemptContext) -> Observation:
        """Observe the target with the check of its kind."""
        return await self[target.kind].observe(target, attempt)

    async def aclose(self) -> None:
        """Close the checks that were built."""
        for check in self.values():
            await check.aclose()
        self._dependencies.close()


def _builder_of(kind: str) -> Callable[[CheckDependencies, Checks], Check]:
    """Return the function `build` of the kind's module. Raises KeyError for an unknown kind."""
    name = f"jobs.checks.kinds.{kind}"
    try:
        build: Callable[[CheckDependencies, Checks], Check] = import_module(name).build
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise KeyError(kind) from None
    return build
