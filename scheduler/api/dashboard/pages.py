"""The routers of all pages. A new page is a module and a line here. Called by scheduler.api.app."""

from __future__ import annotations

from typing import Final

from scheduler.api.dashboard import static_files
from scheduler.api.dashboard.access import preferences, sign_in_page
from scheduler.api.dashboard.editing import backtests, drafts, edit_page, selection_page
from scheduler.api.dashboard.incidents import incident_list_page, incident_page, maintenance_page, notifications_page
from scheduler.api.dashboard.jobs import alerts_page, definition_page, job_page, plan_page
from scheduler.api.dashboard.operations import audit_page, health_page, secrets_page, settings_page
from scheduler.api.dashboard.overview import overview_page, wall_page
from scheduler.api.dashboard.reference import reference_page
from scheduler.api.dashboard.schedule import schedule_page
from scheduler.features.circuits import page as circuits_page
from scheduler.features.dead_letters import page as dead_letters_page
from scheduler.features.runs import run_page, runs_page

PAGE_ROUTERS: Final = (
    overview_page.router,
    wall_page.router,
    job_page.router,
    alerts_page.router,
    plan_page.router,
    definition_page.router,
    run_page.router,
    edit_page.router,
    drafts.router,
    backtests.router,
    selection_page.router,
    incident_list_page.router,
    incident_page.router,
    runs_page.router,
    schedule_page.router,
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
