"""What every operation needs: the environment, the tools, and the keys. Built by main, replaced by tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from delivery.app.api import AppKeys, SchedulerApi
from delivery.app.http import Http
from delivery.app.waiting import Waiting
from delivery.az import Az
from delivery.clock import DeliveryClock
from delivery.environment import Environment
from delivery.errors import UnusableInput
from delivery.reporter import Reporter


@dataclass(frozen=True)
class Context:
    """The tools of an operation. In a dry run, `az` prints its commands only, and no request is sent."""

    environment: Environment
    az: Az
    http: Http
    clock: DeliveryClock
    reporter: Reporter
    keys: AppKeys

    @property
    def dry_run(self) -> bool:
        return self.az.dry_run

    def api(self, url: str = "") -> SchedulerApi:
        """Return a client of the app in service, or of the one at this URL."""
        return SchedulerApi(self.http, url or self.environment.url, self.keys)

    def waiting(self, url: str = "") -> Waiting:
        return Waiting(self.api(url), self.clock, self.reporter, self.environment.verify.poll)

    def require_keys(self, *names: str) -> None:
        """Raise UnusableInput if a variable with a key is not set."""
        variables = {"read": self.environment.keys.read, "operate": self.environment.keys.operate}
        missing = [variables[name] for name in names if not getattr(self.keys, name)]
        if missing and not self.dry_run:
            raise UnusableInput(
                f"{' and '.join(missing)} not set: export the API key with the scope of that name. "
                f"infra/environments/{self.environment.name}.json names the variables."
            )


def keys_from(environment: Environment, variables: Mapping[str, str]) -> AppKeys:
    """Return the keys of the variables that the environment names."""
    names = environment.keys
    return AppKeys(names.header, variables.get(names.read, "").strip(), variables.get(names.operate, "").strip())


def how_to_roll_back(context: Context, record: Path) -> str:
    """Return the last line of an error after which the previous version has to be put in service again."""
    return f"Put the previous version in service: infra/pipeline/rollback {context.environment.name} --record {record}"
