"""The routers of all pages. A new page is a module and a line here. Called by scheduler.api.app."""

from __future__ import annotations

from typing import Final

from scheduler.api.dashboard import static_files
from scheduler.api.dashboard.rendering import preferences
from scheduler.api.description import reference_page
from scheduler.features.access import settings_page, sign_in_page
from scheduler.features.alerts import page as alerts_page
from scheduler.features.audit import page as audit_page
from scheduler.features.backtest import routes as backtest_routes
from scheduler.features.channels import page as notifications_page
from scheduler.features.circuits import page as circuits_page
from scheduler.features.dead_letters import page as dead_letters_page
from scheduler.features.forecast import page as schedule_page
from scheduler.features.health import page as health_page
from scheduler.features.incidents import page as incidents_page
from scheduler.features.jobs import job_page, plan_page
from scheduler.features.objectives import page as objectives_page
from scheduler.features.overview import page as overview_page
from scheduler.features.runs import run_page, runs_page
from scheduler.features.secrets import page as secrets_page
from scheduler.features.statistics import page as statistics_page
from scheduler.features.stored_jobs import definition_page
from scheduler.features.suppressions import page as maintenance_page

PAGE_ROUTERS: Final = (
    overview_page.router,
    job_page.router,
    alerts_page.router,
    plan_page.router,
    definition_page.router,
    run_page.router,
    definition_page.editor_router,
    definition_page.drafts_router,
    backtest_routes.router,
    overview_page.selection_router,
    incidents_page.router,
    runs_page.router,
    schedule_page.router,
    statistics_page.router,
    objectives_page.router,
    dead_letters_page.router,
    circuits_page.router,
    secrets_page.router,
    audit_page.router,
    maintenance_page.router,
    health_page.router,
    settings_page.router,
    notifications_page.router,
    reference_page.router,
    sign_in_page.router,
    preferences.router,
    static_files.router,
)
