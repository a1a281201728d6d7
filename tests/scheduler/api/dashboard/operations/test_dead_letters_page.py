"""The pages of dead letters, as the server sends them."""

from __future__ import annotations

import json
import re
from html import unescape

from jobs.runs import ErrorClass
from scheduler.stores.dead_letters import DeadLetter
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import NOON, run_of, ticket

PATH = "/api/dashboard/dead-letters"


def listed(page: str) -> list[str]:
    return re.findall(r'<tr id="letter-([^"]+)"', page)


def letter(job: str = "checkout", reason: str = "connection refused", minutes: int = 0) -> DeadLetter:
    due = ticket(job, -60 * minutes)
    return DeadLetter.from_ticket(due, reason, due.due_at, attempts=3, job=entry(job).job)


def replay_fields(page: str) -> dict[str, str]:
    """What the form of the page sends, apart from its numbers."""
    (form,) = re.findall(r'<form[^>]*data-action="POST /api/dead-letters/replay".*?</form>', page, re.DOTALL)
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))


async def store(client: ApiClient, *letters: DeadLetter) -> None:
    await client.shop.dead_letters.add_all(letters)


@virtual_time
async def test_letters_have_their_job_state_and_reason_and_the_newest_is_first() -> None:
    async with ApiClient(jobs=[entry(), entry("other")]) as client:
        older, newer = letter(minutes=5), letter("other", "<b>timed out</b>")
        await store(client, older, newer)
        page = await get_page(client, PATH)

    assert listed(page) == [newer.id, older.id]
    assert "other waiting <b>timed out</b> 3 attempts Replay Discard" in visible_text(page)
    assert not has_inline_code(page)


@virtual_time
async def test_the_form_replays_what_the_filter_shows() -> None:
    async with ApiClient(jobs=[entry(), entry("other")]) as client:
        await store(client, letter(), letter(minutes=5), letter("other"), letter(reason="broken", minutes=1))
        filters = {"job": "checkout", "reason": "REFUSED", "from": "2026-11-25T11:58:00"}
        page = await get_page(client, PATH, **filters)
        fields = replay_fields(page)
        preview = await client.post_json("/api/dead-letters/replay", {**fields, "dry_run": True})
        answered = await client.post_json("/api/dead-letters/replay", fields)
        after = await get_page(client, PATH, **filters, state="replayed")

    assert fields == {"job": "checkout", "reason": "REFUSED", "after": "2026-11-25T11:58:00.000Z"}
    assert [each["id"] for each in preview.json()["dead_letters"]] == listed(page)
    assert answered.status_code == 202
    assert listed(after) == listed(page)
    assert "replayed" in visible_text(after)


@virtual_time
async def test_without_a_filter_the_form_replays_all_letters_that_the_page_knows() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await store(client, letter(), letter(minutes=5))
        page = await get_page(client, PATH)
        fields = replay_fields(page)
        preview = await client.post_json("/api/dead-letters/replay", {**fields, "dry_run": True})

    assert [each["id"] for each in preview.json()["dead_letters"]] == listed(page)[::-1]


@virtual_time
async def test_further_letters_are_on_further_pages() -> None:
    async with ApiClient(jobs=[entry(), entry("other")]) as client:
        letters = [letter(minutes=number) for number in range(120)]
        await store(client, *letters, letter("other"))
        pages = [await get_page(client, PATH, job="checkout")]
        while following := [each for each in find_links(pages[-1]) if "continuation" in each]:
            pages.append(await get_page(client, following[0]))

    assert [one for page in pages for one in listed(page)] == [each.id for each in letters]
    assert len(pages) == 3


@virtual_time
async def test_a_letter_has_its_own_page_with_all_its_data() -> None:
    due = ticket()
    run = run_of(due)
    async with ApiClient(jobs=[entry()]) as client:
        known = DeadLetter.from_run(run, due, entry().job, traceback="Traceback <x>")
        await store(client, known)
        page = await get_page(client, f"{PATH}/{known.id}")
        buttons = re.findall(r'data-action="([^"]+)"', page)
        method, path = buttons[0].split()
        replayed = await client.request(method, path)
        again = await get_page(client, f"{PATH}/{known.id}")
        run_id = replayed.json()["id"]

    text = visible_text(page)
    assert "Dead letter of checkout" in text
    assert "State waiting" in text
    assert "A replay is a new run with the current definition of the job" in text
    assert "Traceback <x>" in text
    assert f"/api/dashboard/runs/{due.id}" in find_links(page)
    assert json.loads(unescape(re.findall(r"<pre>({.*?})</pre>", page, re.DOTALL)[0]))["name"] == "checkout"
    assert f"State replayed by {run_id}" in visible_text(again)
    assert "Replay" not in re.findall(r"<button[^>]*>([^<]*)", again)


@virtual_time
async def test_a_message_that_is_not_a_ticket_can_only_be_discarded() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        broken = DeadLetter.from_message("{<script>", "not a batch of tickets", NOON, attempts=5)
        await store(client, broken)
        page = await get_page(client, f"{PATH}/{broken.id}")
        overview = visible_text(await get_page(client, PATH))

    assert "The message is not a ticket, so it cannot be replayed." in visible_text(page)
    assert re.findall(r'data-action="(\w+)', page) == ["DELETE"]
    assert "a message that is not a ticket waiting not a batch of tickets 5 attempts Discard" in overview


@virtual_time
async def test_the_error_class_and_a_job_that_is_gone_are_named() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        gone = letter("gone")
        await store(client, gone)
        text = visible_text(await get_page(client, f"{PATH}/{gone.id}"))

    assert "gone no longer exists, so its letters cannot be replayed" in text
    assert ErrorClass.CONNECTION_REFUSED not in text


async def test_without_letters_and_for_an_unknown_one_the_page_says_so() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        page = visible_text(await get_page(client, PATH))
        none = visible_text(await get_page(client, PATH, reason="x"))
        missing = await client.request(
            "GET", f"{PATH}/20260301T120000.000Z.5f2c1d9b04aa", headers={"accept": "text/html"}
        )

    assert "There are no dead letters." in page
    assert "No dead letter matches these filters." in none
    assert missing.status_code == 404
    assert "it may have been discarded" in visible_text(missing.text)
