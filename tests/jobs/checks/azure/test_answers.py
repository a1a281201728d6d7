"""What the Azure kinds make of each API's answers: rows of all pages, or why the state is unknown. Never a target that
is down because Azure does not answer."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from jobs.checks.azure.budget import AzureBudget, Limits, find_limits
from jobs.checks.clock import PhaseClock, describe_deadline
from jobs.runs import ErrorClass, Observation
from tests.parts.azure_apis import APIS, TARGET, AzureApis, entries_of, page_of
from tests.parts.http_server import Answer

PAGED = [name for name, api in APIS.items() if api["shape"] not in ("table", "metric")]


def target_of(api: str, **more: Any) -> dict[str, Any]:
    return {**APIS[api]["target"], **more}


def rows_in(observed: Observation) -> list[Any]:
    document = json.loads(observed.body)
    rows: list[Any] = document["value"] if "value" in document else document["rows"]
    return rows


def following(api: str, azure: AzureApis) -> str:
    """What leads to a next page of this API."""
    if "body" in target_of(api) or APIS[api]["shape"] == "graph query":
        return "token-2"
    target = TARGET.validate_python(target_of(api))
    return f"{target.endpoint}?$skiptoken=2"


async def test_a_whole_page_is_the_body_with_its_rows_counted() -> None:
    async with AzureApis.open() as azure:
        for api in APIS:
            azure.script = [Answer.of_json(page_of(api, entries_of(api, 1)))]
            observed = await azure.observe(target_of(api))
            assert (observed.error, observed.unknown, observed.status) == (None, "", 200), api
            assert observed.facts["row_count"] == 1, api
            assert observed.facts["pages"] == 1, api
            assert len(rows_in(observed)) == 1, api
            assert azure.requests[-1].headers["authorization"].startswith("Bearer token-for-")


async def test_a_token_goes_to_the_host_that_it_is_for() -> None:
    async with AzureApis.open() as azure:
        for api in APIS:
            azure.script = [Answer.of_json(page_of(api, entries_of(api, 1)))]
            await azure.observe(target_of(api))
            sent = azure.requests[-1]
            assert sent.headers["authorization"] == f"Bearer token-for-{sent.headers['host']}", api


async def test_a_target_never_counts_as_down_because_azure_refuses_or_fails() -> None:
    refusals = [
        (AzureApis.refusal(401, "InvalidAuthenticationToken"), "did not accept the token"),
        (AzureApis.refusal(403, "AuthorizationFailed"), "lacks the"),
        (AzureApis.refusal(429, "TooManyRequests", retry_after="2"), "no requests until"),
        (AzureApis.refusal(500, "InternalServerError"), "This is not the target's fault."),
        (AzureApis.refusal(400, "BadRequest", "The api-version is wrong"), "The api-version is wrong"),
        (Answer(302, {"location": "https://elsewhere.example/"}), "did not accept the request (302)"),
        (Answer(200, body=b"<html>Service unavailable</html>"), "sent no JSON object"),
        (Answer(200, body=b"[1]"), "sent no JSON object"),
        (Answer(200, body=b'{"value": [NaN]}'), "sent no JSON object"),
        (Answer(200, body=b"[" * 100_000), "sent no JSON object"),
        (Answer(204), "sent no JSON object"),
        (Answer(reset=True), "reset the connection"),
    ]
    for api in APIS:
        for answer, words in refusals:
            async with AzureApis.open() as azure:
                azure.script = [answer]
                observed = await azure.observe(target_of(api))
                assert observed.error is None, (api, words, observed.message)
                assert words in observed.unknown, (api, observed.unknown)
                assert not observed.body


async def test_a_missing_role_is_named_with_its_scope_and_how_to_assign_it() -> None:
    message = (
        "The client 'scheduler' with object id '00000000-0000-4000-8000-0000000000f1' does not have authorization "
        "to perform action 'Microsoft.ServiceBus/namespaces/queues/read'"
    )
    async with AzureApis.open() as azure:
        azure.script = [azure.refusal(403, "AuthorizationFailed", message)]
        observed = await azure.observe(target_of("service bus queues"))
        scope = (
            "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/shop/providers/Microsoft.ServiceBus"
            "/namespaces/orders"
        )
        assert observed.unknown == (
            "management.azure.com refused the request (403 AuthorizationFailed): the app's identity lacks the role "
            f"Reader at {scope}. Assign it: az role assignment create --assignee 00000000-0000-4000-8000-0000000000f1 "
            f'--role "Reader" --scope {scope}'
        )


async def test_the_command_that_assigns_a_role_quotes_what_a_shell_would_read() -> None:
    async with AzureApis.open() as azure:
        azure.script = [azure.refusal(403, "AuthorizationFailed")]
        path = target_of("service bus queues")["resource"].replace("shop", "shop(1)")
        observed = await azure.observe(target_of("service bus queues", resource=path))
        assert f"--scope '{path.removesuffix('/queues')}'" in observed.unknown


async def test_a_missing_permission_of_graph_is_named() -> None:
    async with AzureApis.open() as azure:
        azure.script = [azure.refusal(403, "Authorization_RequestDenied")]
        observed = await azure.observe(target_of("applications of graph"))
        assert "lacks the permission Application.Read.All" in observed.unknown
        observed = await azure.observe({k: v for k, v in target_of("applications of graph").items() if k != "role"})
        assert "lacks the permission to read /v1.0/applications" in observed.unknown


async def test_a_missing_role_at_a_workspace_is_named() -> None:
    async with AzureApis.open() as azure:
        azure.script = [azure.refusal(403, "InsufficientAccessError")]
        observed = await azure.observe(target_of("log analytics", role="Log Analytics Reader"))
        assert "lacks the role Log Analytics Reader at the workspace 00000000-0000-4000-8000-0000000000c1." in (
            observed.unknown
        )


async def test_a_newer_token_is_tried_once_after_a_refusal() -> None:
    async with AzureApis.open() as azure:
        whole = Answer.of_json(page_of("usages", entries_of("usages", 1)))
        azure.script = [azure.refusal(403, "AuthorizationFailed"), whole]
        stale = await azure.observe(target_of("usages"))
        assert "lacks the role" in stale.unknown
        scope = "https://management.azure.com/.default"

        class Renewing(type(azure.tokens)):  # type: ignore[misc]
            async def refresh_rejected(self, scope: str, rejected: str) -> Any:
                self.values = {**self.values, scope: "newer"}
                return await super().refresh_rejected(scope, rejected)

        azure.tokens.__class__ = Renewing
        azure.script = [azure.refusal(403, "AuthorizationFailed"), whole]
        observed = await azure.observe(target_of("usages"))
        assert not observed.unknown
        assert azure.requests[-1].headers["authorization"] == f"Bearer {azure.tokens.values[scope]}" == "Bearer newer"


async def test_a_token_that_is_not_available_leaves_the_state_unknown() -> None:
    async with AzureApis.open() as azure:
        azure.tokens.values = {}
        observed = await azure.observe(target_of("usages"))
        assert observed.error is None
        assert "No token for https://management.azure.com/.default" in observed.unknown
        assert not azure.requests


async def test_a_resource_that_does_not_exist_is_down() -> None:
    async with AzureApis.open() as azure:
        azure.script = [azure.refusal(404, "ResourceNotFound", "The Resource was not found")]
        for api in ("service bus queues", "metric"):
            observed = await azure.observe(target_of(api))
            assert observed.error is ErrorClass.UNEXPECTED_STATUS, api
            assert (
                "namespaces/orders does not exist (404 ResourceNotFound): it was deleted or moved" in observed.message
            )
            assert not observed.unknown


async def test_an_application_that_does_not_exist_is_down() -> None:
    async with AzureApis.open() as azure:
        azure.script = [azure.refusal(404, "Request_ResourceNotFound")]
        observed = await azure.observe(target_of("applications of graph"))
        assert observed.error is ErrorClass.UNEXPECTED_STATUS
        assert observed.message.startswith("/v1.0/applications does not exist (404 Request_ResourceNotFound)")


@pytest.mark.parametrize(("api", "code"), [("usages", "SubscriptionNotFound"), ("log analytics", "PathNotFoundError")])
async def test_a_404_that_is_not_about_the_target_leaves_its_state_unknown(api: str, code: str) -> None:
    async with AzureApis.open() as azure:
        azure.script = [azure.refusal(404, code, "It was not found")]
        observed = await azure.observe(target_of(api))
        assert observed.error is None
        assert "It was not found" in observed.unknown


@pytest.mark.parametrize("code", ["AuthorizationFailed", "LinkedAuthorizationFailed"])
async def test_a_404_that_hides_a_missing_right_is_unknown_and_names_role_and_scope(code: str) -> None:
    async with AzureApis.open() as azure:
        azure.script = [azure.refusal(404, code, "The client does not have authorization")]
        observed = await azure.observe(target_of("service bus queues"))
    assert observed.error is None
    assert "lacks the role Reader at /subscriptions/00000000-0000-4000-8000-000000000001" in observed.unknown


@pytest.mark.parametrize("code", ["SubscriptionNotFound", "InvalidSubscriptionId", "InvalidAuthenticationTokenTenant"])
async def test_a_404_about_the_subscription_or_tenant_is_unknown_for_a_named_resource(code: str) -> None:
    async with AzureApis.open() as azure:
        azure.script = [azure.refusal(404, code, "It was not found")]
        observed = await azure.observe(target_of("service bus queues"))
    assert observed.error is None
    assert "It was not found" in observed.unknown


@pytest.mark.parametrize("before", [0, 250, 280, 290, 1970, 1990])
async def test_a_secret_in_a_long_reason_is_redacted_before_the_reason_is_cut(before: int) -> None:
    secret = "canary-" + "0123456789" * 4
    async with AzureApis.open() as azure:
        azure.dependencies.redactor.add_permanent(secret)
        azure.script = [azure.refusal(400, "BadRequest", f"{'x' * before}{secret} {'y' * 300}")]
        observed = await azure.observe(target_of("usages"))
        assert "did not accept the request (400 BadRequest): " in observed.unknown
        assert "canary" not in observed.unknown


@pytest.mark.parametrize("code", ["two words", "x" * 81, "line\nline", 7, None])
async def test_an_error_code_that_cannot_be_one_is_not_shown(code: Any) -> None:
    async with AzureApis.open() as azure:
        azure.script = [azure.refusal(400, code, "It is wrong.")]
        observed = await azure.observe(target_of("usages"))
        assert "did not accept the request (400): It is wrong." in observed.unknown


async def test_an_empty_page_has_no_rows_and_no_age() -> None:
    async with AzureApis.open() as azure:
        for api in APIS:
            azure.script = [Answer.of_json(page_of(api, []))]
            observed = await azure.observe(target_of(api))
            assert not observed.unknown, api
            assert observed.facts["row_count"] == 0, api
            assert rows_in(observed) == [], api
            assert "data_age" not in observed.facts, api


async def test_all_pages_are_followed_with_one_request_each() -> None:
    for api in PAGED:
        async with AzureApis.open() as azure:
            first, second = entries_of(api, 2)[:1], entries_of(api, 2)[1:]
            azure.script = [
                Answer.of_json(page_of(api, first, following(api, azure))),
                Answer.of_json(page_of(api, second)),
            ]
            observed = await azure.observe(target_of(api))
            assert rows_in(observed) == [*first, *second], api
            assert observed.facts["pages"] == len(azure.requests) == 2, api
            assert "2" in azure.requests[1].target + azure.requests[1].body.decode(), api


async def test_a_page_that_breaks_leaves_the_state_unknown_instead_of_fewer_rows() -> None:
    for api in PAGED:
        async with AzureApis.open() as azure:
            first = Answer.of_json(page_of(api, entries_of(api, 1), following(api, azure)))
            azure.script = [first, azure.refusal(503, "ServerBusy")]
            observed = await azure.observe(target_of(api))
            assert observed.unknown.startswith("Page 2: "), api
            assert observed.error is None


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/subscriptions?page=2",
        "http://management.azure.com/x",
        "https://management.azure.com:8443/x",
        "https://a:b@management.azure.com/x",
        "https://management.azure.com@evil.example/x",
        "https://graph.microsoft.com/v1.0/x",
        "https://management.azure.com/x\r\nHost: evil",
        "//evil.example/x",
        "https://[::1/",
        "https://management.azure.com/" + "x" * 9000,
        7,
    ],
)
async def test_a_link_to_another_host_is_not_followed(link: Any) -> None:
    async with AzureApis.open() as azure:
        azure.script = [Answer.of_json({"value": [], "nextLink": link})]
        observed = await azure.observe(target_of("usages"))
        assert "does not lead to the same host" in observed.unknown
        assert len(azure.requests) == 1


async def test_pages_without_end_are_bounded() -> None:
    async with AzureApis.open() as azure:
        links = [f"https://management.azure.com/x?page={number}" for number in range(9)]
        azure.script = [Answer.of_json({"value": [1], "nextLink": link}) for link in links]
        observed = await azure.observe(target_of("usages", max_pages=5))
        assert "more than 5 pages" in observed.unknown
        assert len(azure.requests) == 5


async def test_a_link_to_a_next_page_counts_against_the_limits_of_the_list() -> None:
    class Recording(AzureBudget):
        drawn: ClassVar[list[Limits]] = []

        def reserve(self, limits: Limits) -> float:
            self.drawn.append(limits)
            return super().reserve(limits)

    async with AzureApis.open() as azure:
        azure.dependencies.__dict__["azure_budget"] = Recording(lambda: 0.0)
        link = "https://management.azure.com/SUBSCRIPTIONS/X/providers/microsoft.storage/locations/eastus/usages?page=2"
        azure.script = [Answer.of_json({"value": [1], "nextLink": link}), Answer.of_json({"value": [2]})]
        assert not (await azure.observe(target_of("usages"))).unknown
        first, second = Recording.drawn
        assert first == second == find_limits("GET", TARGET.validate_python(target_of("usages")).endpoint)


@pytest.mark.parametrize("token", ["t" * 9000, {"a": 1}, 7, "\ud800"])
async def test_a_token_of_a_next_page_that_is_too_long_or_no_text_is_not_sent(token: Any) -> None:
    async with AzureApis.open() as azure:
        for api, name in (("data factory runs", "continuationToken"), ("resource graph", "$skipToken")):
            azure.requests.clear()
            azure.script = [Answer.of_json({**page_of(api, entries_of(api, 1)), name: token})]
            observed = await azure.observe(target_of(api))
            assert "The token of the next page" in observed.unknown, api
            assert len(azure.requests) == 1


async def test_a_page_that_leads_to_itself_is_not_followed() -> None:
    async with AzureApis.open() as azure:
        azure.script = [Answer.of_json({"value": [1], "nextLink": "https://management.azure.com/x?page=2"})]
        observed = await azure.observe(target_of("usages"))
        assert "leads to an earlier page again" in observed.unknown
        assert len(azure.requests) == 2


async def test_pages_that_lead_to_each_other_are_requested_once() -> None:
    async with AzureApis.open() as azure:
        links = [f"https://management.azure.com/x?page={number}" for number in (2, 3, 2, 3)]
        azure.script = [Answer.of_json({"value": [1], "nextLink": link}) for link in links]
        observed = await azure.observe(target_of("usages"))
        assert "leads to an earlier page again" in observed.unknown
        assert len(azure.requests) == 3


@pytest.mark.parametrize("api", ["log analytics", "resource graph", "metric"])
@pytest.mark.parametrize("written", ['"\\ud800"', '{"\\udfff": 1}'])
async def test_half_a_surrogate_pair_in_a_row_is_shown_as_a_question_mark(api: str, written: str) -> None:
    async with AzureApis.open() as azure:
        azure.script = [_with_a_value(api, written)]
        observed = await azure.observe(target_of(api))
        assert not observed.unknown
        assert "?" in str(rows_in(observed))


@pytest.mark.parametrize("api", ["log analytics", "resource graph", "metric"])
@pytest.mark.parametrize("written", ["1e999", "-1e999"])
async def test_a_number_in_a_row_beyond_all_floats_leaves_the_state_unknown(api: str, written: str) -> None:
    async with AzureApis.open() as azure:
        azure.script = [_with_a_value(api, written)]
        observed = await azure.observe(target_of(api))
        assert observed.error is None
        assert "a number that is too large" in observed.unknown


def _with_a_value(api: str, written: str) -> Answer:
    """A page in which the first text of the first entry is replaced by this JSON."""
    entries = entries_of(api, 1)
    name = next(name for name, value in entries[0].items() if isinstance(value, str))
    page = Answer.of_json(page_of(api, [{**entries[0], name: "REPLACED"}]))
    return replace(page, body=page.body.replace(b'"REPLACED"', written.encode()))


async def test_old_data_is_unknown_where_the_job_says_so_and_a_fact() -> None:
    async with AzureApis.open() as azure:
        for api in ("log analytics", "application insights", "metric"):
            azure.script = [Answer.of_json(page_of(api, entries_of(api, 1, 7500), data_age_s=7500))]
            observed = await azure.observe(target_of(api))
            assert "The newest data is" in observed.unknown, api
            assert "max_data_age" in observed.unknown, api
            observed = await azure.observe(target_of(api, max_data_age=None))
            assert not observed.unknown, api
            assert 7490 < observed.facts["data_age"] < 7700, api


@pytest.mark.parametrize("whole", [True, False])
async def test_a_resource_tells_its_age_at_a_path_and_one_that_is_too_old_is_unknown(whole: bool) -> None:
    checked = [{"properties": {"reportedTime": f"2020-05-0{day}T14:11:29.7598931Z"}} for day in (1, 4, 2)]
    odd: list[Any] = [{"properties": None}, {"properties": {"reportedTime": 7}}, {}, "text", None]
    target = target_of("resource health", age_of="$.properties.reportedTime")
    async with AzureApis.open() as azure:
        azure.script = [Answer.of_json(checked[1] if whole else {"value": [*checked, *odd]})]
        observed = await azure.observe(target)
        expected = (datetime.now(UTC) - datetime(2020, 5, 4, 14, 11, 29, 759893, UTC)).total_seconds()
        assert observed.facts["data_age"] == pytest.approx(expected, abs=60)
        assert not observed.unknown
        observed = await azure.observe(target | {"max_data_age": "2h"})
        assert "The newest data is" in observed.unknown
        azure.script = [Answer.of_json({"value": odd})]
        observed = await azure.observe(target | {"max_data_age": "2h"})
        assert not observed.unknown
        assert "data_age" not in observed.facts


async def test_the_first_page_with_entries_is_enough_where_the_job_says_so() -> None:
    for api in ("logic app runs", "data factory runs"):
        async with AzureApis.open() as azure:
            pages = [page_of(api, rows, following(api, azure)) for rows in ([], entries_of(api, 1), entries_of(api, 1))]
            azure.script = [Answer.of_json(page) for page in pages]
            observed = await azure.observe(target_of(api, first_page=True))
            assert (observed.unknown, len(rows_in(observed))) == ("", 1), api
            assert observed.facts["pages"] == len(azure.requests) == 2, api


async def test_an_instant_in_the_past_stands_in_the_request() -> None:
    async with AzureApis.open() as azure:
        for api, where in (
            ("logic app runs", {"query": {"$filter": "status eq 'Succeeded' and startTime ge {since}"}}),
            ("data factory runs", {"body": {"lastUpdatedAfter": "{since}", "filters": [{"values": ["{since}"]}]}}),
        ):
            azure.script = [Answer.of_json(page_of(api, entries_of(api, 1)))]
            await azure.observe(target_of(api, since="26h", **where))
            sent = azure.requests[-1]
            text = sent.query.get("$filter", "") + sent.body.decode()
            instants = re.findall(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", text)
            assert instants, api
            for instant in instants:
                age = datetime.now(UTC) - datetime.fromisoformat(instant)
                assert age.total_seconds() == pytest.approx(26 * 3600, abs=60), api
            assert "{since}" not in text


async def test_a_thousand_entries_are_one_request_a_page() -> None:
    async with AzureApis.open() as azure:
        for api in APIS:
            count = 999 if api == "metric" else 1000
            azure.requests.clear()
            azure.script = [Answer.of_json(page_of(api, entries_of(api, count)))]
            observed = await azure.observe(target_of(api))
            assert observed.facts["row_count"] == len(rows_in(observed)) == count, api
            assert len(azure.requests) == 1


async def test_more_rows_than_can_be_judged_are_unknown() -> None:
    async with AzureApis.open() as azure:
        azure.script = [Answer.of_json({"value": [1] * 10_001})]
        assert "more than 10,000 entries" in (await azure.observe(target_of("usages"))).unknown
        rows = {"columns": [{"name": "a", "type": "long"}], "rows": [[1]] * 10_001}
        azure.script = [Answer.of_json({"tables": [rows]})]
        assert "more than 10,000 rows" in (await azure.observe(target_of("log analytics"))).unknown
        azure.script = [Answer.of_json({"value": ["x" * 5_000_000]})]
        assert "The page has more than 4 MiB" in (await azure.observe(target_of("usages"))).unknown
        azure.script = [Answer.of_json(page_of("metric", entries_of("metric", 1000)))]
        assert "1,000 series or more" in (await azure.observe(target_of("metric"))).unknown


async def test_all_pages_together_are_bounded() -> None:
    async with AzureApis.open() as azure:
        azure.script = [
            Answer.of_json({"value": ["x" * 3_000_000], "nextLink": f"https://management.azure.com/x?page={page}"})
            for page in range(4)
        ]
        assert "more than 8 MiB" in (await azure.observe(target_of("usages"))).unknown
        assert len(azure.requests) == 3


async def test_a_query_that_did_not_finish_is_unknown_unless_a_part_is_allowed() -> None:
    async with AzureApis.open() as azure:
        page = page_of("log analytics", entries_of("log analytics", 1))
        azure.script = [Answer.of_json({**page, "error": {"code": "PartialError", "message": "..."}})]
        assert (
            "Rows of the query are missing (PartialError)" in (await azure.observe(target_of("log analytics"))).unknown
        )
        observed = await azure.observe(target_of("log analytics", allow_partial=True))
        assert not observed.unknown
        assert observed.facts["is_partial"] is True
        graph = page_of("resource graph", entries_of("resource graph", 1))
        azure.script = [Answer.of_json({**graph, "resultTruncated": "true"})]
        assert "Rows of the query are missing" in (await azure.observe(target_of("resource graph"))).unknown


async def test_values_of_a_table_have_the_types_of_their_columns() -> None:
    async with AzureApis.open() as azure:
        azure.script = [Answer.of_json(page_of("log analytics", entries_of("log analytics", 1)))]
        (row,) = rows_in(await azure.observe(target_of("log analytics")))
        assert (row["TotalBatches"], row["Quantity"], row["IsBillable"]) == (1, 0.076408, True)


async def test_a_metric_has_the_newest_complete_bucket_with_data() -> None:
    async with AzureApis.open() as azure:
        azure.script = [Answer.of_json(page_of("metric", entries_of("metric", 2)))]
        observed = await azure.observe(target_of("metric"))
        first, second = rows_in(observed)
        assert (first["entityname"], first["value"], second["entityname"]) == ("refunds", 3.0, "refunds-1")
        assert first["resource"].endswith("/namespaces/orders")
        assert 59 < observed.facts["data_age"] < 120
        sent = azure.requests[0].query
        assert (sent["interval"], sent["aggregation"], sent["$filter"], sent["top"]) == (
            "PT1M",
            "average",
            "EntityName eq '*'",
            "1000",
        )


async def test_a_bucket_that_ends_after_all_years_is_not_complete() -> None:
    async with AzureApis.open() as azure:
        page = page_of("metric", entries_of("metric", 1))
        page["value"][0]["timeseries"][0]["data"] = [{"timeStamp": "9999-12-31T23:59:59Z", "average": 1.0}]
        azure.script = [Answer.of_json(page)]
        observed = await azure.observe(target_of("metric"))
        assert (rows_in(observed), observed.unknown) == ([], "")


async def test_a_metric_without_data_has_no_row() -> None:
    async with AzureApis.open() as azure:
        page = page_of("metric", entries_of("metric", 1))
        page["value"][0]["timeseries"][0]["data"] = [
            {"timeStamp": "2026-12-03T04:00:00Z"},
            {"timeStamp": "2026-12-03T04:01:00Z", "average": None},
        ]
        azure.script = [Answer.of_json(page)]
        observed = await azure.observe(target_of("metric"))
        assert (rows_in(observed), observed.unknown) == ([], "")


@pytest.mark.parametrize(
    ("api", "document"),
    [
        ("log analytics", {"tables": []}),
        ("log analytics", {"tables": [{"columns": [{"name": "a"}], "rows": [[1, 2]]}]}),
        ("log analytics", {}),
        ("resource graph", {"data": {"columns": [], "rows": []}}),
        ("metric", {"value": [{"timeseries": [{"data": [{"timeStamp": "x", "average": 1}]}]}]}),
        ("metric", {"value": [{"timeseries": [{"data": [{"timeStamp": "2026-12-03T04:00:00Z", "average": 9**500}]}]}]}),
        ("metric", {"value": [{"errorCode": "MetricNotFound", "timeseries": []}]}),
        ("metric", {}),
    ],
)
async def test_a_document_of_another_shape_is_unknown(api: str, document: Any) -> None:
    async with AzureApis.open() as azure:
        azure.script = [Answer.of_json(document)]
        observed = await azure.observe(target_of(api))
        assert "answered with an unexpected document" in observed.unknown


async def test_a_single_resource_is_its_own_body() -> None:
    async with AzureApis.open() as azure:
        (queue,) = entries_of("service bus queues", 1)
        azure.script = [Answer.of_json(queue)]
        target = target_of("service bus queues", resource=queue["id"])
        observed = await azure.observe(target)
        assert json.loads(observed.body) == queue
        assert "row_count" not in observed.facts


async def test_an_api_that_stays_silent_is_described_at_the_deadline() -> None:
    async with AzureApis.open() as azure:
        for api in APIS:
            azure.script = [Answer(gate=asyncio.Event())]
            azure.requests.clear()
            clock = PhaseClock()
            waiting = asyncio.create_task(azure.observe(target_of(api), clock))
            await azure.wait_for_requests(1)
            target = TARGET.validate_python(target_of(api))
            assert target.CAN_BE_UNKNOWN  # type: ignore[union-attr]
            _, message = describe_deadline(clock, target.endpoint, 45.0)
            assert f"No response from {target.host}:443 within 45 s" in message  # type: ignore[union-attr]
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting


async def test_rules_of_the_settings_decide_which_host_gets_a_token() -> None:
    from jobs.checks.binding.rules import Bindings

    async with AzureApis.open(bindings=Bindings(unbound_scopes=False)) as azure:
        observed = await azure.observe(target_of("usages"))
        assert observed.error is ErrorClass.TARGET_DENIED
        assert "identity.allow" in observed.message
        assert not azure.requests


async def test_after_a_429_nothing_is_sent_until_azure_allows_it() -> None:
    async with AzureApis.open() as azure:
        azure.script = [azure.refusal(429, "TooManyRequests", retry_after="120")]
        first = await azure.observe(target_of("service bus queues"))
        assert "management.azure.com throttles (429 TooManyRequests): no requests until 20" in first.unknown
        second = await azure.observe(target_of("service bus queues"))
        assert second.unknown.startswith("Nothing was sent: Azure throttles requests to microsoft.servicebus of ")
        assert "no requests until 20" in second.unknown
        assert len(azure.requests) == 1


async def test_a_check_without_budget_ends_as_unknown_and_sends_nothing() -> None:
    async with AzureApis.open() as azure:
        target = target_of("budgets")
        limits = find_limits("GET", TARGET.validate_python(target).endpoint)
        for _ in range(4):
            azure.dependencies.azure_budget.reserve(limits)
        observed = await azure.observe(target)
        assert observed.unknown.startswith(
            "Nothing was sent: budget. The checks of this process use up the requests to microsoft.consumption of "
            "subscription 00000000-0000-4000-8000-000000000001, the next turn is in "
        )
        assert not azure.requests


async def test_a_check_that_waits_for_its_turn_reports_that_at_the_deadline() -> None:
    async with AzureApis.open() as azure:
        limits = find_limits("POST", "https://management.azure.com/providers/Microsoft.ResourceGraph/resources")
        for _ in range(40):
            azure.dependencies.azure_budget.reserve(limits)
        clock = PhaseClock()
        waiting = asyncio.create_task(azure.observe(target_of("resource graph"), clock))
        await asyncio.sleep(0.05)
        _, message = describe_deadline(clock, "https://management.azure.com/x", 5.0)
        assert message.startswith("Nothing was sent: budget. The checks of this process use up the queries of Resource")
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting


async def test_a_message_of_azure_contains_no_secret_of_the_run() -> None:
    async with AzureApis.open() as azure:
        azure.script = [azure.refusal(400, "BadRequest", "unexpected token-for-management.azure.com in the request")]
        observed = await azure.observe(target_of("usages"))
        assert "unexpected *** in the request" in observed.unknown
