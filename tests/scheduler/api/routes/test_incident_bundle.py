"""The route of the bundle of an incident: its forms, and what a client accepts."""

from __future__ import annotations

import pytest

from scheduler.features.incidents.bundle_markdown import render_markdown
from scheduler.features.incidents.bundle_models import IncidentBundle
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.access.test_tag_limits import PAYMENTS
from tests.scheduler.api.routes.test_incidents import OURS, THEIRS, open_client

PATH = f"/api/incidents/{OURS}/bundle"


@virtual_time
async def test_the_markdown_is_rendered_from_the_json() -> None:
    async with open_client() as client:
        json = await client.get(PATH)
        markdown = await client.get(PATH, format="markdown")
    assert render_markdown(IncidentBundle.model_validate(json.json())) == markdown.text
    assert markdown.headers["content-type"] == "text/markdown; charset=utf-8"
    assert markdown.headers["content-disposition"] == f'attachment; filename="incident-{OURS}.md"'


@pytest.mark.parametrize(
    ("accept", "form", "expected"),
    [
        ("text/markdown", None, "text/markdown"),
        ("text/markdown, application/json;q=0.5", None, "text/markdown"),
        ("application/json, text/markdown;q=0.5", None, "application/json"),
        ("*/*", None, "application/json"),
        ("text/markdown", "json", "application/json"),
        ("application/json", "markdown", "text/markdown"),
    ],
)
@virtual_time
async def test_the_parameter_decides_then_what_the_client_prefers(accept: str, form: str | None, expected: str) -> None:
    async with open_client() as client:
        query = {} if form is None else {"format": form}
        response = await client.request("GET", PATH, headers={"Accept": accept}, params=query)
    assert response.headers["content-type"].partition(";")[0] == expected
    assert "Accept" in response.headers["vary"]


@virtual_time
async def test_an_unknown_form_is_refused_and_an_incident_of_others_does_not_exist() -> None:
    async with open_client(PAYMENTS) as client:
        assert (await client.get(PATH, format="html")).status_code == 400
        assert (await client.get(PATH)).json()["headline"] == "DOWN checkout"
        for incident in (THEIRS, "unknown"):
            assert (await client.get(f"/api/incidents/{incident}/bundle")).status_code == 404
