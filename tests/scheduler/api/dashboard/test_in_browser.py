"""The dashboard in Chromium, served by uvicorn on loopback: what people see, and how it stays up to date."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from playwright.async_api import Browser, Route, expect

from jobs.runs.details import CertificateDetail, Details, TlsDetail
from scheduler.api.dashboard.rendering import page_caches
from tests.jobs.running.run_parts import REFUSED, answer
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.site import open_site
from tests.scheduler.fakes import START, entry
from tests.scheduler.stores.samples import run_of, ticket

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

REFRESH = "document.dispatchEvent(new Event('visibilitychange'))"
ONCE: dict[str, Any] = {"retry": {"attempts": 1}}


@pytest.fixture(autouse=True)
def render_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine rendering takes long, and the page is then shared for as long as a test waits."""
    monkeypatch.setattr(page_caches, "CACHE_FACTOR", 0)


async def test_what_is_down_is_observed_at_once_with_its_reason(browser: Browser) -> None:
    async with open_site(browser, ApiClient(REFUSED, jobs=[entry(**ONCE), entry("other")])) as shown:
        await shown.desk.perform()
        page = await shown.open()

        await expect(page.get_by_role("status")).to_have_text("1 of 2 jobs is down")
        down = page.locator("table.jobs tbody tr").first
        await expect(down).to_contain_text("checkout.internal:443 refused the connection.")
        await expect(down).to_be_in_viewport()
        assert await page.title() == "1 down · Scheduler · test"
        assert await page.evaluate("getComputedStyle(document.querySelector('.jobs .down > th')).boxShadow") != "none"


async def test_the_page_stays_up_to_date_without_being_loaded_again(browser: Browser) -> None:
    async with open_site(browser, ApiClient(answer(), REFUSED, jobs=[entry(**ONCE)])) as shown:
        await shown.desk.perform()
        page = await shown.open()
        await expect(page.get_by_role("status")).to_have_text("No job is down")
        await page.evaluate("window.kept = true")

        await shown.desk.perform(seconds=1)
        await page.evaluate(REFRESH)

        await expect(page.get_by_role("status")).to_have_text("1 of 1 job is down")
        await expect(page).to_have_title(re.compile("1 down"))
        await expect(page.locator("#job-checkout .latest")).to_contain_text("failed")
        assert await page.evaluate("window.kept")
        assert (await page.locator("link[rel=icon]").get_attribute("href") or "").endswith("icon-down.svg")


async def test_a_refresh_keeps_focus_scroll_and_selection(browser: Browser) -> None:
    jobs = [entry(f"job-{number:02}", **ONCE) for number in range(40)]
    async with open_site(browser, ApiClient(REFUSED, REFUSED, REFUSED, answer(), jobs=jobs)) as shown:
        seconds = count()
        await shown.desk.perform("job-05", seconds=next(seconds))
        page = await shown.open(viewport={"width": 1000, "height": 500})
        await page.get_by_role("link", name="job-30").focus()
        await page.evaluate("getSelection().selectAllChildren(document.querySelector('#job-job-05 .why'))")
        top = await page.evaluate("scrollY")

        for job, down in (
            ("job-07", "2 of 40 jobs are"),
            ("job-06", "3 of 40 jobs are"),
            ("job-07", "2 of 40 jobs are"),
        ):
            await shown.desk.perform(job, seconds=next(seconds))
            await page.evaluate(REFRESH)
            await expect(page.get_by_role("status")).to_have_text(f"{down} down")

        assert await page.evaluate("document.activeElement.textContent") == "job-30"
        assert await page.evaluate("getSelection().toString()") == "checkout.internal:443 refused the connection."
        assert top > 0
        assert await page.evaluate("scrollY") > 0


async def test_columns_do_not_move_when_times_change(browser: Browser) -> None:
    columns = "[...document.querySelectorAll('th')].map(cell => cell.getBoundingClientRect().x)"
    async with open_site(browser, ApiClient(jobs=[entry(), entry("nightly", "0 30 3 * * *")])) as shown:
        await shown.desk.perform(seconds=-100_000)
        page = await shown.open()
        before = await page.evaluate(columns)

        await shown.desk.perform()
        await shown.desk.perform("nightly")
        await page.evaluate(REFRESH)
        await expect(page.locator("#job-nightly .latest")).to_contain_text("succeeded")

        assert await page.evaluate(columns) == before


async def test_a_server_that_is_unavailable_is_reported_until_it_is_back(browser: Browser) -> None:
    async with open_site(browser, ApiClient()) as shown:
        page = await shown.open()
        stamp = page.locator("#refreshed")
        await expect(stamp).not_to_have_class(re.compile("stale"))

        await page.route("**/*", lambda route: route.abort())
        await page.evaluate(REFRESH)
        await expect(stamp).to_contain_text("refresh failed")
        await expect(page).to_have_title(re.compile("^stale · "))
        assert "icon-stale" in (await page.locator("link[rel=icon]").get_attribute("href") or "")

        await page.unroute("**/*")
        await page.evaluate(REFRESH)
        await expect(stamp).not_to_contain_text("refresh failed")
        await expect(page).not_to_have_title(re.compile("stale"))
        assert "icon-stale" not in (await page.locator("link[rel=icon]").get_attribute("href") or "")
        assert shown.complaints
        shown.complaints.clear()


async def test_a_page_that_was_never_shown_appears_when_the_store_is_available(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry()])) as shown:
        shown.desk.break_store()
        page = await shown.open("/api/dashboard/jobs/checkout")
        await expect(page.get_by_role("status")).to_have_text("Service Unavailable")
        shown.complaints.clear()

        shown.desk.repair_store()
        await page.evaluate(REFRESH)
        await expect(page.get_by_role("button", name="Run now")).to_be_visible()


REMOVED = """<p id="headline-since".*?</p>"""
ADDED = '<nav class="standings"', '<p class="notice down">store is down</p><nav class="standings"'


@pytest.mark.parametrize("change", ["removed", "added", "both"])
async def test_what_appears_or_disappears_leaves_the_other_elements_in_place(browser: Browser, change: str) -> None:
    async with open_site(browser, ApiClient(REFUSED, jobs=[entry(**ONCE), entry("other")])) as shown:
        await shown.desk.perform()
        page = await shown.open()
        observed = "main > nav, main > section, #views, #save-view, #selection-bar, table, thead, tr"
        await page.evaluate(f"window.before = [...document.querySelectorAll('{observed}')]")

        async def answer_changed(route: Route) -> None:
            html = await (await route.fetch()).text()
            changed = html if change == "added" else re.sub(REMOVED, "", html, flags=re.DOTALL)
            changed = changed if change == "removed" else changed.replace(*ADDED)
            assert changed != html
            await route.fulfill(body=changed, content_type="text/html", headers={"etag": '"2"'})

        await page.route(f"{shown.url}/api/dashboard", answer_changed)
        async with page.expect_event("requestfinished"):
            await page.evaluate(REFRESH)
        await expect(page.locator("#headline-since")).to_have_count(int(change == "added"))
        await expect(page.locator(".notice.down")).to_have_count(int(change != "removed"))
        assert await page.evaluate("window.before.length") == 10
        assert await page.evaluate("window.before.filter((each) => !each.isConnected).length") == 0
        assert await page.evaluate(
            "document.querySelector('main').textContent.match(/store is down/g)?.length ?? 0"
        ) == int(change != "removed")

        await page.get_by_text("Views", exact=True).click()
        await page.get_by_label("Save this view").fill("mine")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("list", name="Saved in this browser")).to_contain_text("mine")


async def test_menus_of_a_page_that_has_got_the_store_back_work(browser: Browser) -> None:
    client = ApiClient(jobs=[entry(**ONCE)])
    client.break_store()
    async with open_site(browser, client) as shown:
        page = await shown.open()
        await expect(page.locator("#save-view")).to_have_count(0)
        client.shop.store.breaks_after = None
        await page.evaluate(REFRESH)
        await page.get_by_text("Views", exact=True).click()
        await page.get_by_label("Save this view").fill("mine")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("list", name="Saved in this browser")).to_contain_text("mine")
        await page.get_by_role("button", name="Select", exact=True).click()
        await expect(page.get_by_role("region", name="Selected jobs")).to_contain_text("No job selected")
        shown.complaints[:] = [each for each in shown.complaints if "503" not in each]


async def test_a_function_key_follows_with_refreshes(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry(f"job-{number:02}") for number in range(110)])) as shown:
        page = await shown.open("/api/dashboard?code=KEY")
        shown.asked.clear()
        await page.get_by_role("link", name="More jobs").click()
        await expect(page.locator("#jobs")).to_contain_text("101 to 110 of 110")
        async with page.expect_request(lambda request: request.resource_type == "fetch"):
            await page.evaluate(REFRESH)

    assert shown.asked
    assert all("code=KEY" in url for url in shown.asked)


async def test_the_page_is_complete_without_its_script(browser: Browser) -> None:
    async with open_site(browser, ApiClient(REFUSED, jobs=[entry(**ONCE)])) as shown:
        await shown.desk.perform()
        page = await shown.open(java_script_enabled=False)

        await expect(page.get_by_role("status")).to_have_text("1 of 1 job is down")
        assert await page.locator("meta[http-equiv=refresh]").get_attribute("content") == "30"


async def test_nothing_is_wider_than_the_screen(browser: Browser) -> None:
    long = "payments.settlement-reconciliation.export_to_the_data_warehouse_nightly_" + "x" * 25
    async with open_site(browser, ApiClient(REFUSED, jobs=[entry(long, **ONCE), entry()])) as shown:
        await shown.desk.perform(long)
        for path in ("/api/dashboard", "/api/dashboard/wall"):
            page = await shown.open(path)
            for width in (360, 390, 600, 800, 1000, 1600):
                await page.set_viewport_size({"width": width, "height": 800})
                assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_thirty_outages_are_at_the_top_and_their_count_leads_to_them(browser: Browser) -> None:
    jobs = [entry(f"job-{number:02}", **ONCE) for number in range(60)]
    async with open_site(browser, ApiClient(REFUSED, jobs=jobs)) as shown:
        for number in range(30):
            await shown.desk.perform(f"job-{number:02}", seconds=-number)
        page = await shown.open(viewport={"width": 1280, "height": 800})

        await expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_in_viewport()
        await expect(page.locator("#job-job-00")).to_be_in_viewport()
        await page.get_by_role("link", name="30 down").click()
        await expect(page.get_by_role("heading", name="Jobs that are down")).to_be_in_viewport()
        await expect(page.locator("table.jobs tbody tr")).to_have_count(30)


async def test_views_are_saved_by_name_and_deleted(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry(tags={"team": "payments"}), entry("other")])) as shown:
        page = await shown.open("/api/dashboard?tag=team%3Dpayments&q=")
        await page.get_by_text("Views", exact=True).click()
        await page.get_by_label("Save this view").fill("<b>mine</b>")
        await page.get_by_role("button", name="Save").click()
        await page.goto(shown.url + "/api/dashboard")
        await page.get_by_text("Views", exact=True).click()
        await page.get_by_role("link", name="<b>mine</b>").click()
        await expect(page.locator("table.jobs tbody tr")).to_have_count(1)
        assert page.url == f"{shown.url}/api/dashboard?tag=team%3Dpayments"

        await page.get_by_text("Views", exact=True).click()
        await page.get_by_role("button", name="Delete the view <b>mine</b>").click()
        await expect(page.locator("#saved-views li")).to_have_count(0)
        await page.get_by_role("button", name="Undo").click()
        await expect(page.locator("#saved-views li")).to_have_count(1)


async def test_from_the_overview_to_a_job_to_a_run_and_back_without_a_script(browser: Browser) -> None:
    async with open_site(browser, ApiClient(REFUSED, jobs=[entry(**ONCE)])) as shown:
        run_id = await shown.desk.perform()
        page = await shown.open(java_script_enabled=False)

        await page.get_by_role("region", name="Jobs").get_by_role("link", name="checkout").click()
        await expect(page.get_by_role("status")).to_contain_text("checkout is down")
        await page.get_by_role("region", name="Latest runs").get_by_role("link").first.click()
        await expect(page.get_by_text(run_id).first).to_be_visible()
        await page.get_by_role("link", name="All jobs").click()
        await expect(page.get_by_role("status")).to_have_text("1 of 1 job is down")


async def test_the_page_of_a_job_stays_up_to_date(browser: Browser) -> None:
    async with open_site(browser, ApiClient(answer(), REFUSED, jobs=[entry(**ONCE)])) as shown:
        await shown.desk.perform()
        page = await shown.open("/api/dashboard/jobs/checkout")
        await expect(page.get_by_role("status")).to_contain_text("checkout is up")
        await page.get_by_text("The numbers of the charts").click()
        await page.get_by_text("2 changes of state").or_(page.get_by_text("1 change of state")).click()

        await shown.desk.perform(seconds=1)
        await page.evaluate(REFRESH)

        await expect(page.get_by_role("status")).to_contain_text("checkout is down")
        assert await page.locator("#numbers-table").get_attribute("open") is not None
        assert await page.locator("#state-changes").get_attribute("open") is None


async def test_the_pages_of_a_job_and_a_run_are_not_wider_than_the_screen(browser: Browser) -> None:
    long = "payments.settlement-reconciliation.export_to_the_data_warehouse_nightly_" + "x" * 25
    async with open_site(browser, ApiClient(answer(500, body=b"y" * 500), jobs=[entry(long, **ONCE)])) as shown:
        run_id = await shown.desk.perform(long)
        for path in (f"/api/dashboard/jobs/{long}", f"/api/dashboard/runs/{run_id}"):
            page = await shown.open(path)
            for width in (360, 390, 800, 1280):
                await page.set_viewport_size({"width": width, "height": 800})
                assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_each_value_of_a_certificate_stands_next_to_its_name(browser: Browser) -> None:
    certificate = CertificateDetail("checkout.example", "R11", ("a.example", "b.example"), 2, START)
    due = ticket()
    run = run_of(due)
    (attempt,) = run.attempts
    async with open_site(browser, ApiClient(jobs=[entry()])) as shown:
        details = Details(tls=TlsDetail("TLSv1.3", certificate))
        await shown.desk.store_finished(due, replace(run, attempts=(replace(attempt, details=details),)))
        page = await shown.open(f"/api/dashboard/runs/{due.id}", viewport={"width": 390, "height": 800})

        await page.evaluate("for (const row of document.querySelectorAll('details')) row.open = true")
        top = "name => name.getBoundingClientRect().top - name.nextElementSibling.getBoundingClientRect().top"
        for name in ("version", "certificate", "subject", "issuer", "names", "days left"):
            row = page.locator("dl.values > dt").get_by_text(name, exact=True)
            assert abs(await row.evaluate(top)) < 2


@pytest.mark.parametrize(("scheme", "ground"), [("light", "rgb(246, 247, 249)"), ("dark", "rgb(17, 21, 27)")])
async def test_the_page_is_light_or_dark_as_people_have_set_it(browser: Browser, scheme: Any, ground: str) -> None:
    async with open_site(browser, ApiClient()) as shown:
        page = await shown.open(color_scheme=scheme)

        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == ground


async def test_the_reference_of_the_api_works_under_the_policy(browser: Browser) -> None:
    async with open_site(browser, ApiClient()) as shown:
        page = await shown.open("/api/docs")
        await page.get_by_role("link", name="Runs", exact=True).last.click()
        await page.locator("#cancel_run > summary").click()
        await expect(page.locator("#cancel_run dd").first).to_contain_text('"state": "finished"')
        await expect(page.locator("#cancel_run")).to_be_in_viewport()
        assert await page.locator("main").evaluate("main => getComputedStyle(main.firstElementChild).display") == "grid"


async def test_forty_jobs_that_are_down_fit_a_screen(browser: Browser) -> None:
    jobs = [entry(f"payments-service-{number:03}", **ONCE) for number in range(120)]
    async with open_site(browser, ApiClient(*[REFUSED] * 40, jobs=jobs)) as shown:
        for number in range(40):
            await shown.desk.perform(f"payments-service-{number:03}")
        page = await shown.open("/api/dashboard/wall", viewport={"width": 1920, "height": 1080})

        await expect(page.locator(".large-tiles .why")).to_have_count(40)
        assert await page.evaluate("document.documentElement.scrollHeight") <= 1080


async def test_a_shared_page_is_fetched_more_often_unless_requests_are_scarce(
    browser: Browser,
) -> None:
    async with open_site(browser, ApiClient(jobs=[entry()])) as shown:
        page = await shown.create_page()
        await page.clock.install()
        await page.goto(f"{shown.url}/api/dashboard")
        limits = {"ratelimit-policy": '"read";q=600;w=60', "ratelimit": '"read";r=299;t=30'}

        async with page.expect_response("**/api/dashboard") as fetched:
            await page.clock.run_for(1500)
        assert (await fetched.value).ok
        await page.route("**/api/dashboard", lambda route: route.fulfill(status=304, headers=limits))
        async with page.expect_response("**/api/dashboard"):
            await page.clock.run_for(1500)
        before = len(shown.asked)
        await page.clock.run_for(4000)
        assert len(shown.asked) == before
        async with page.expect_response("**/api/dashboard"):
            await page.clock.run_for(1500)


async def test_the_reference_opens_the_operation_of_a_link_filters_and_names_the_real_host(browser: Browser) -> None:
    async with open_site(browser, ApiClient()) as shown:
        page = await shown.open("/api/docs#get_job")
        operation = page.locator("#get_job")
        await expect(operation).to_have_attribute("open", "")
        await expect(operation.locator(".curl")).to_contain_text(f'curl "{shown.url}/api/jobs/checkout-api"')
        await expect(operation.get_by_role("button", name="Copy the command")).to_be_visible()

        await page.get_by_role("searchbox", name="Filter").fill("silences delete")
        await expect(page.locator(".operation:visible")).to_have_count(1)
        await page.get_by_role("searchbox", name="Filter").fill("nothing of this kind")
        await expect(page.get_by_text("No operation contains this text.")).to_be_visible()


async def test_a_printed_page_has_its_address_and_date_and_no_controls(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry()])) as shown:
        page = await shown.open("/api/dashboard/jobs/checkout")
        await expect(page.locator(".only-print")).to_be_hidden()
        await page.emulate_media(media="print")
        await expect(page.locator(".only-print")).to_have_text(
            f"{shown.url}/api/dashboard/jobs/checkout · 1 March 2026"
        )
        await expect(page.locator("#job-actions")).to_be_hidden()
        style = "getComputedStyle(document.querySelector('figure.chart'))"
        assert await page.evaluate(f"{style}.breakInside") == "avoid"
        assert await page.evaluate(f"{style}.printColorAdjust") == "exact"
