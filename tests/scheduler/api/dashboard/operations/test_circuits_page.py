"""The pages of circuits, as the server sends them."""

from __future__ import annotations

import re

from scheduler.features.circuits.queries import OpenCircuitFinder
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry

PATH = "/api/dashboard/circuits"
BROKEN = {"retry": {"attempts": 1}, "circuit": {"consecutive_failures": 1, "open_for": "60s"}}
GROUP = {"retry": {"attempts": 1}, "circuit": {"consecutive_failures": 1, "open_for": "60s", "group": "provider"}}


@virtual_time
async def test_open_circuits_are_first_with_their_reason_and_next_probe() -> None:
    jobs = [entry(circuit={"consecutive_failures": 3}), entry("other", **GROUP), entry("twin", **GROUP)]
    async with ApiClient(REFUSED, jobs=jobs) as client:
        await client.perform("other")
        page = await get_page(client, PATH)

    text = visible_text(page)
    assert "<title>1 open · Circuits · Scheduler · test</title>" in page
    assert "Open or overridden 1 group:provider open since 12:00:00" in text
    assert "Next probe in 1 min" in text
    assert "2 jobs: other, twin" in text
    assert re.findall(r'<tr id="circuit-([^"]+)"', page) == ["checkout", "group:provider"]
    assert 'data-action="POST /api/circuits/group:provider/reset"' in page
    assert not has_inline_code(page)


@virtual_time
async def test_a_circuit_has_a_page_with_its_policy_and_the_forms_that_change_it() -> None:
    async with ApiClient(REFUSED, jobs=[entry(**BROKEN)]) as client:
        await client.perform()
        page = await get_page(client, f"{PATH}/checkout")
        forms = re.findall(r'<form[^>]*data-action="([^"]+)"', page)
        answers = [await client.request(*form.split()) for form in forms]
        held = visible_text(await get_page(client, f"{PATH}/checkout"))

    text = visible_text(page)
    assert "Circuit checkout" in text
    assert "open since 12:00:00" in text
    assert "Next probe 12:01:00 (in 1 min)" in text
    assert "consecutive failures 1" in text
    assert [form.rpartition("/")[2] for form in forms] == ["reset", "open", "close"]
    assert [one.status_code for one in answers] == [200, 200, 200]
    assert "held closed" in held
    assert "until it is reset" in held


@virtual_time
async def test_an_override_names_its_source_its_end_and_its_reason() -> None:
    async with ApiClient(answer(), jobs=[entry(**BROKEN)]) as client:
        body = {"until": "2026-03-01T13:00:00Z", "reason": "<b>maintenance</b>"}
        await client.post_json("/api/circuits/checkout/open", body)
        text = visible_text(await get_page(client, PATH))

    assert "checkout held open since 12:00:00 (0 s): <b>maintenance</b>" in text
    assert "until 13:00:00 (in 1 h)" in text


@virtual_time
async def test_a_scan_is_cached_but_a_state_is_current() -> None:
    async with ApiClient(REFUSED, jobs=[entry(**BROKEN), entry("other", **BROKEN)]) as client:
        await client.perform()
        finder = OpenCircuitFinder(client.shop.circuits, client.shop.clock)
        before = await finder.find()
        finder._until = float("inf")
        await client.post("/api/circuits/checkout/reset")
        after = await finder.find()

    assert [view.key for view in before[0]] == ["checkout"]
    assert before[1] == 1
    assert after == ([], 0)


async def test_without_circuits_the_page_says_how_a_job_gets_one() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        assert "No job has a circuit." in visible_text(await get_page(client, PATH))


async def test_further_circuits_are_on_further_pages_and_every_link_works() -> None:
    jobs = [entry(f"job-{number:02}", circuit={"consecutive_failures": 3}) for number in range(60)]
    async with ApiClient(jobs=jobs) as client:
        page = await get_page(client, PATH, code="KEY")
        (following,) = [each for each in find_links(page) if "continuation" in each]
        more = await get_page(client, following)
        links = [each for each in {*find_links(page), *find_links(more)} if each.startswith(PATH)]
        statuses = {(await client.get(each)).status_code for each in links[:5]}

    assert len(re.findall('<tr id="circuit-', page)) == 50
    assert len(re.findall('<tr id="circuit-', more)) == 10
    assert all("code=KEY" in each for each in links)
    assert statuses == {200}
