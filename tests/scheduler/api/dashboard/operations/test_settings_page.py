"""GET /api/dashboard/settings, as the server sends it."""

from __future__ import annotations

import re

from config.settings.loading import load_settings
from jobs.redaction import Redactor
from observability.telemetry import Telemetry
from scheduler.app.health_probes import build_own_reports
from scheduler.features.access.service import NewKey
from scheduler.identity.api_keys import hash_api_key
from scheduler.identity.principal import PROGRAM_PRINCIPAL, Caller, ChangeSource, Role
from tests.project import ROOT
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry

PATH = "/api/dashboard/settings"
CANARY = "0123456789abcdef0123456789abcdef"
ENVIRON = {
    "SCHEDULER_ENVIRONMENT": "test",
    "SCHEDULER_CONCURRENCY": "17",
    "SCHEDULER_DATADOG__API_KEY": CANARY,
    "SCHEDULER_OTLP__HEADERS": f"authorization=Bearer {CANARY}",
    "SCHEDULER_SELF_WATCH__URL": f"https://watch.example.com/ping/{CANARY}",
    "SCHEDULER_STORAGE__CONNECTION_STRING": f"AccountName=a;AccountKey={CANARY};EndpointSuffix=core.windows.net",
    "SCHEDULER_SERVICE_NAME": f"scheduler-{CANARY}",
}
PROGRAM = Caller(PROGRAM_PRINCIPAL, ChangeSource.FILES)


def listed(page: str) -> list[str]:
    return re.findall(r'<tr id="setting-([^"]+)"', page)


def client_with_settings() -> ApiClient:
    client = ApiClient(jobs=[entry()])
    redactor = Redactor()
    redactor.add_permanent(CANARY)
    client.health.own_reports = build_own_reports(Telemetry([]), load_settings(ENVIRON, root=ROOT), redactor)
    return client


async def test_settings_have_their_value_their_origin_and_a_description() -> None:
    async with client_with_settings() as client:
        page = await get_page(client, PATH)
        changed = await get_page(client, PATH, source="changed")
        found = await get_page(client, PATH, name="SHUTDOWN", source="default")
        nothing = visible_text(await get_page(client, PATH, name="no such setting"))

    text = visible_text(page)
    assert "concurrency Maximum number of concurrent runs in a process" in text
    assert "17 SCHEDULER_CONCURRENCY" in text
    assert "shutdown_grace How long in-flight runs may continue after a stop signal. 3s default" in text
    assert {"concurrency", "datadog.api_key"} <= {*listed(changed)} < {*listed(page)}
    assert "shares.job" not in listed(changed)
    assert listed(found) == ["shutdown_grace"]
    assert "No setting matches these filters." in nothing
    assert not has_inline_code(page)


async def test_changed_settings_precede_the_groups_of_the_others() -> None:
    async with client_with_settings() as client:
        reports = client.health.own_reports
        client.health.own_reports = reports.with_arguments({"port": 7171})
        page = await get_page(client, PATH)
        given = await get_page(client, PATH, source="argument")

    first_group = page.index('<details id="group-')
    assert page.index('id="setting-port"') < page.index('id="setting-datadog.api_key"') < first_group
    assert first_group < page.index('id="setting-shutdown_grace"')
    assert 'href="#group-general"' in page
    assert listed(given) == ["port"]
    assert "port 7171 --port" in visible_text(given).replace("TCP port of the embedded host. ", "")
    assert len(listed(page)) == len(set(listed(page))) == len(reports.list_settings())


async def test_no_secret_is_on_the_page() -> None:
    async with client_with_settings() as client:
        page = await get_page(client, PATH)

    text = visible_text(page)
    assert CANARY not in page
    for name in ("datadog.api_key", "self_watch.url", "storage.connection_string", "otlp.headers"):
        assert name in listed(page)
    assert text.count("a secret, set SCHEDULER_") == 4
    assert "application_insights.connection_string" in listed(page)


async def test_keys_are_listed_and_can_be_revoked() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        keys = client.services.operations.api_keys
        revoked = await keys.create(NewKey("old", Role.VIEWER), PROGRAM)
        await keys.revoke(revoked.id, PROGRAM)
        created = await keys.create(NewKey("deploy", Role.OPERATOR, (("team", "payments"),)), PROGRAM)
        page = await get_page(client, PATH)

    text = visible_text(page)
    assert text.index("deploy") < text.index("old")
    assert "active operator jobs with team:payments never Revoke" in text
    assert "revoked" in text
    assert re.findall('data-action="([^"]+)"', page) == [f"DELETE /api/keys/{created.id}"]
    assert created.key not in page
    assert hash_api_key(created.key) not in page


async def test_without_settings_and_keys_the_page_says_so() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        text = visible_text(await get_page(client, PATH))

    assert "This process reports no settings." in text
    assert "There are no API keys." in text
    assert "You local:loopback, role admin" in text


async def test_a_setting_that_an_argument_replaces_is_shown_as_in_force() -> None:
    async with client_with_settings() as client:
        health = client.health
        health.own_reports = health.own_reports.with_arguments({"port": "7171"})
        page = await get_page(client, PATH, source="argument")

    assert listed(page) == ["port"]
    assert "port 7171 --port" in visible_text(page)
