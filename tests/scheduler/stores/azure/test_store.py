"""What is true of Azure Tables beyond the port: lost answers, transactions, entities, and accounts that refuse."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.data.tables.aio import TableServiceClient
from hypothesis import given
from hypothesis import strategies as st

from scheduler.stores.azure.entities import azure_table_name, escape_key, to_entity, to_row, unescape_key
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.azure.store import AzureTablesStore, connect_to_tables
from scheduler.stores.port import (
    Delete,
    Insert,
    Replace,
    Row,
    RowChanged,
    RowExists,
    StoreError,
    StoreUnavailable,
    Upsert,
)
from scheduler.stores.runs.repository import Claim, Runs
from tests.parts.azurite import Azurite
from tests.scheduler.stores.samples import LEASE, NOON, run_of, ticket


class BadLine(AioHttpTransport):  # type: ignore[misc]  # azure.core does not tell its type
    """The real transport, until `spoil` is asked what to do with an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.spoil: Callable[[str], str] = lambda method: ""

    async def send(self, request: Any, **config: Any) -> Any:
        self.requests.append(request.method)
        verdict = self.spoil(request.method)
        if verdict == "not sent":
            raise ServiceResponseError("the line broke before")
        answer = await super().send(request, **config)
        if verdict == "lost":
            raise ServiceResponseError("the line broke after")
        if verdict == "500":
            answer.status_code = 500
        return answer

    def once(self, method: str, verdict: str) -> None:
        """Spoil the next request of this method."""
        left = [verdict]
        self.spoil = lambda requested: left.pop() if requested == method and left else ""


@pytest.fixture
def line() -> BadLine:
    return BadLine()


@pytest.fixture
async def store(azurite: Azurite, storage_prefix: str, line: BadLine) -> AsyncIterator[AzureTablesStore]:
    service = TableServiceClient.from_connection_string(
        azurite.connection_string, transport=line, retry_total=2, retry_backoff_factor=0.001, retry_backoff_max=0.001
    )
    store = AzureTablesStore(service, storage_prefix)
    # The table is there before a test begins to count and to spoil.
    await store.get_row("a", "p", "0")
    line.requests.clear()
    yield store
    await store.aclose()


@pytest.mark.parametrize("verdict", ["lost", "500"])
async def test_an_insert_that_was_made_though_its_answer_was_lost_succeeds(
    store: AzureTablesStore, line: BadLine, verdict: str
) -> None:
    """After a 500 the client inserts again and is told that the row exists: it is our own."""
    line.once("POST", verdict)
    (etag,) = await store.apply(Insert("a", "p", "1", "1"))
    assert await store.get_row("a", "p", "1") == Row("p", "1", "1", etag)
    assert line.requests.count("POST") == (2 if verdict == "500" else 1)


async def test_what_did_not_get_through_is_sent_again(store: AzureTablesStore, line: BadLine) -> None:
    line.once("POST", "not sent")
    (etag,) = await store.apply(Insert("a", "p", "1", "1"))
    assert await store.get_row("a", "p", "1") == Row("p", "1", "1", etag)


async def test_an_insert_that_did_not_get_through_is_not_counted_as_made(
    store: AzureTablesStore, line: BadLine
) -> None:
    line.spoil = lambda method: "not sent" if method == "POST" else ""
    with pytest.raises(StoreUnavailable):
        await store.apply(Insert("a", "p", "1", "1"))
    line.spoil = lambda method: ""
    assert await store.get_row("a", "p", "1") is None


async def test_a_user_elses_row_is_not_counted_as_our_own(store: AzureTablesStore, line: BadLine) -> None:
    await store.apply(Insert("a", "p", "1", "1"))
    line.once("POST", "500")
    with pytest.raises(RowExists):
        await store.apply(Insert("a", "p", "1", "1"))


@pytest.mark.parametrize("verdict", ["lost", "500"])
async def test_a_replace_that_was_made_though_its_answer_was_lost_succeeds(
    store: AzureTablesStore, line: BadLine, verdict: str
) -> None:
    (etag,) = await store.apply(Insert("a", "p", "1", "1"))
    line.once("POST", verdict)
    (etag,) = await store.apply(Replace("a", "p", "1", "2", etag))
    assert await store.get_row("a", "p", "1") == Row("p", "1", "2", etag)


async def test_a_replace_that_another_caller_forestalled_is_refused(store: AzureTablesStore, line: BadLine) -> None:
    (etag,) = await store.apply(Insert("a", "p", "1", "1"))
    await store.apply(Upsert("a", "p", "1", "2"))
    line.once("POST", "500")
    with pytest.raises(RowChanged):
        await store.apply(Replace("a", "p", "1", "3", etag))


async def test_a_write_whose_fate_cannot_be_found_out_is_unavailable(store: AzureTablesStore, line: BadLine) -> None:
    line.spoil = lambda method: "lost"
    with pytest.raises(StoreUnavailable, match="ServiceResponseError"):
        await store.apply(Insert("a", "p", "1", "1"))


async def test_a_transaction_whose_answer_was_lost_is_not_made_twice(store: AzureTablesStore, line: BadLine) -> None:
    (old,) = await store.apply(Insert("a", "p", "0", "0"))
    line.once("POST", "lost")
    etags = await store.apply(Insert("a", "p", "1", "1"), Replace("a", "p", "0", "2", old), Upsert("a", "p", "2", "3"))
    rows = {row.key: row for row in await store.list_rows("a", "p", limit=9)}
    assert {key: row.body for key, row in rows.items()} == {"0": "2", "1": "1", "2": "3"}
    assert etags == (rows["1"].etag, rows["0"].etag, rows["2"].etag)


async def test_groups_whose_answer_was_lost_are_not_made_twice(store: AzureTablesStore, line: BadLine) -> None:
    for verdict in ("lost", "500", "not sent"):
        line.once("POST", verdict)
        groups = [
            [Insert("a", "p", f"{verdict}{number}", "1"), Upsert("a", "p", f"{verdict}x{number}", "1")]
            for number in range(9)
        ]
        answers = await store.apply_each(groups)
        for (insert, put), answer in zip(groups, answers, strict=True):
            rows = [await store.get_row("a", "p", change.key) for change in (insert, put)]
            assert answer == tuple(row.etag for row in rows if row is not None)


async def test_a_delete_with_an_etag_whose_answer_was_lost_is_not_refused(
    store: AzureTablesStore, line: BadLine
) -> None:
    (etag,) = await store.apply(Insert("runs", "p", "old", "1"))
    line.once("POST", "lost")
    made, _ = await store.apply(Insert("runs", "p", "new", "1"), Delete("runs", "p", "old", etag))
    row = await store.get_row("runs", "p", "new")
    assert row is not None
    assert row.etag == made
    assert await store.get_row("runs", "p", "old") is None


async def test_deletes_whose_answer_was_lost_are_made_again(store: AzureTablesStore, line: BadLine) -> None:
    await store.apply(Upsert("a", "p", "1", "1"), Upsert("a", "p", "2", "1"))
    line.once("POST", "lost")
    assert await store.apply(Delete("a", "p", "1"), Delete("a", "p", "2")) == ("", "")
    assert await store.list_rows("a", "p", limit=9) == []


async def test_rows_of_many_kinds_go_through_one_transaction(store: AzureTablesStore, line: BadLine) -> None:
    bodies = {"1": "é🚦\r\n--changeset_c--", "2": "x" * 40_000, "3": "2026-11-25T12:00:00Z", "/'#%": '"'}
    etags = await store.apply(*(Insert("a", "p 'q'", key, body) for key, body in bodies.items()))
    assert line.requests == ["POST"]
    rows = {row.key: row for row in await store.list_rows("a", "p 'q'", limit=9)}
    assert {key: row.body for key, row in rows.items()} == bodies
    replaced = await store.apply(
        *(Replace("a", "p 'q'", key, "2", etag) for key, etag in zip(bodies, etags, strict=True))
    )
    assert all(new != old for new, old in zip(replaced, etags, strict=True))
    assert await store.apply(*(Delete("a", "p 'q'", key) for key in bodies)) == ("",) * 4


async def test_neighbours_of_a_partition_are_one_request_and_others_one_each(
    store: AzureTablesStore, line: BadLine
) -> None:
    await store.apply(*(Upsert("a", "p", str(number), "1") for number in range(100)))
    assert line.requests == ["POST"]
    line.requests.clear()
    await store.apply(*(Delete("a", "p", str(number)) for number in range(100)), Upsert("a", "q", "1", "1"))
    assert line.requests == ["POST", "POST"]


async def test_a_run_is_claimed_once_and_finished_once_on_a_line_that_loses_every_third_answer(
    store: AzureTablesStore, line: BadLine
) -> None:
    runs = Runs(store)
    assert await runs.find(ticket().id) is None
    assert await runs.list_unfinished() == []
    line.requests.clear()
    line.spoil = lambda method: "lost" if method != "GET" and len(line.requests) % 3 == 0 else ""
    for second in range(6):
        claim = await runs.claim(ticket(seconds=second), "one", NOON + LEASE, NOON)
        assert isinstance(claim, Claim)
        await runs.finish(claim, run_of(ticket(seconds=second)))
    assert len((await runs.list_page()).records) == 6
    assert await runs.list_unfinished() == []


async def test_a_table_is_made_when_it_is_first_used(store: AzureTablesStore, line: BadLine) -> None:
    await store.apply(Upsert("dead_letters", "p", "1", "1"))
    assert line.requests == ["POST", "POST"]
    line.requests.clear()
    await store.apply(Upsert("dead_letters", "p", "1", "1"))
    assert line.requests == ["POST"]


async def test_a_table_that_another_process_made_is_used(azurite: Azurite, storage_prefix: str) -> None:
    for _ in range(2):
        store = await open_azure_tables(connection_string=azurite.connection_string, prefix=storage_prefix)
        await store.apply(Upsert("a", "p", "1", "1"))
        await store.aclose()


# Microsoft's client asks an XML element for its truth when it reads this error.
@pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")
async def test_the_pauses_between_tries_of_the_client_are_random_and_bounded() -> None:
    service = connect_to_tables(
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;TableEndpoint=http://127.0.0.1:9/a;", None
    )
    (policy,) = (policy for policy in service._policies if isinstance(policy, AsyncRetryPolicy))
    settings = policy.configure_retries({})

    pauses = []
    for failures in (1, 1, 2, 2, 3, 3):
        settings["history"] = [None] * failures
        pauses.append(policy.get_backoff_time(settings))

    assert len(set(pauses)) == 6
    assert all(0.1 <= pause <= 3 for pause in pauses)
    await service.close()


@pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")  # by azure-data-tables
async def test_a_wrong_key_is_reported_with_the_role_that_is_needed_and_without_the_key(azurite: Azurite) -> None:
    wrong = azurite.connection_string.replace(azurite.key, "d3Jvbmc=")
    with pytest.raises(StoreUnavailable, match="Storage Table Data Contributor") as raised:
        await open_azure_tables(connection_string=wrong)
    assert "d3Jvbmc" not in str(raised.value)


class AppIdentity:
    """A credential that has a token at once."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        assert scopes == ("https://storage.azure.com/.default",)
        return AccessToken("token", 4_000_000_000)

    async def close(self) -> None:
        """Nothing to close."""

    async def __aenter__(self) -> AppIdentity:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing to close."""


def _by_identity(host: str) -> dict[str, Any]:
    return {"table_url": f"https://{host}/a", "credential": AppIdentity()}


def _by_connection_string(host: str) -> dict[str, Any]:
    return {"connection_string": f"AccountName=a;AccountKey=a2V5;TableEndpoint=http://{host}/a;"}


@pytest.mark.parametrize("named", [_by_identity, _by_connection_string])
async def test_an_account_that_cannot_be_reached_is_reported_at_opening(named: Callable[[str], dict[str, Any]]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        account = named(f"127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(StoreUnavailable, match=r"ServiceRequestError.*the network between them"):
            await open_azure_tables(**account)


@pytest.mark.parametrize("arguments", [{}, {"account_name": "a"}, {"table_url": "https://a"}])
async def test_an_account_without_a_credential_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="by its name with a credential"):
        await open_azure_tables(connection_string=None, **arguments)


@given(st.text(min_size=1, max_size=50))
def test_an_escaped_key_is_plain_and_comes_back(key: str) -> None:
    escaped = escape_key(key)
    assert unescape_key(escaped) == key
    assert escaped.isascii()
    assert not set(escaped) & set("/\\#?'%+ \t\n")


@given(st.lists(st.from_regex(r"[A-Za-z0-9._@~-]{1,20}", fullmatch=True)))
def test_escaping_retains_the_order_of_plain_keys(keys: list[str]) -> None:
    assert [unescape_key(key) for key in sorted(map(escape_key, keys))] == sorted(keys)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), st.integers(1, 400))
def test_every_body_comes_back_from_an_entity(text: str, times: int) -> None:
    assert to_row(to_entity("p", "k", text * times, "m"), "e") == Row("p", "k", text * times, "e")


def test_what_does_not_shrink_enough_is_refused() -> None:
    noise = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(850_000))
    with pytest.raises(StoreError, match="more than a store can hold"):
        to_entity("p", "k", noise, "m")


def test_a_table_has_a_plain_name_with_the_prefix() -> None:
    assert azure_table_name("scheduler", "dead_letters") == "schedulerdeadletters"
