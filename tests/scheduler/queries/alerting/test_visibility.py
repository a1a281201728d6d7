"""Which subjects of alerts a caller that is limited to tags sees."""

from __future__ import annotations

import pytest

from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.definition.job import SelectedObjective
from jobs.definition.job_alerts import OBJECTIVES_PART
from scheduler.catalog.catalog import JobSnapshot
from scheduler.catalog.limited import LimitedCatalog
from scheduler.features.incidents.visibility import SubjectVisibility
from scheduler.identity.principal import Principal, PrincipalKind, Role
from tests.scheduler.fakes import START, entry

JOBS = (entry("web", "every 1m", tags={"team": "web"}), entry("api", "every 1m", tags={"team": "api"}))


def visibility_of(team: str) -> SubjectVisibility:
    """Return what a team sees; the objective `shop` is over the job of the team web."""
    value = {"target": 99, "select": {"jobs": ["web"]}, "alerts": True}
    parts = {OBJECTIVES_PART: (DefinedEntry("shop", SelectedObjective.model_validate(value)),)}
    snapshot = JobSnapshot(JOBS, START, alerting=define_alerting(parts))
    return SubjectVisibility(
        LimitedCatalog(snapshot, Principal(PrincipalKind.API_KEY, team, Role.OPERATOR, (("team", team),)))
    )


@pytest.mark.parametrize(("team", "is_visible"), [("web", True), ("api", False)])
def test_an_objective_is_visible_through_one_of_its_jobs(team: str, is_visible: bool) -> None:
    assert visibility_of(team).is_visible("shop") is is_visible


def test_an_objective_with_alerts_is_a_known_subject() -> None:
    visibility_of("web").require_known("shop")
