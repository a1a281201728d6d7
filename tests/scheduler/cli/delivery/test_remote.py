"""The client of the API: repeats, errors, pages; its key goes to one host only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.features.delivery.remote import RemoteApi, RemoteError, RemoteKey, RemoteKeys, open_remote

Answer = Callable[[httpx.Request], httpx.Response]


KEYS = RemoteKeys(change=RemoteKey("change-key", "CHANGE_KEY"), read=RemoteKey("read-key", "READ_KEY"))
NO_KEYS = RemoteKeys(RemoteKey(None, "A_KEY"), RemoteKey(None, "A_KEY"))


class Exchange:
    """A scheduler whose responses a test lists; the last one repeats."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        client = httpx.AsyncClient(base_url="https://s.example/x", transport=httpx.MockTransport(self._answer))
        self.api = RemoteApi(client, KEYS, self._sleep)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return found

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


BUSY = httpx.Response(503, headers={"Retry-After": "3"})
OK = httpx.Response(200, json={"a": 1})
REFUSED = httpx.ConnectError("refused")
LOST = httpx.ReadTimeout("late")


@pytest.mark.parametrize(
    ("method", "answers", "slept"),
    [
        ("get", (OK,), []),
        ("get", (BUSY, OK), [3.0]),
        ("post", (httpx.Response(429, headers={"Retry-After": "3600"}), OK), [10.0]),
        ("post", (httpx.Response(429), OK), [1.0]),
        ("get", (REFUSED, LOST, OK), [1.0, 2.0]),
        ("post", (REFUSED, OK), [1.0]),
    ],
)
async def test_what_changed_nothing_is_repeated(
    method: str, answers: tuple[httpx.Response | Exception, ...], slept: list[float]
) -> None:
    exchange = Exchange(*answers)

    found = await (exchange.api.get("/api") if method == "get" else exchange.api.post("/api", {}))

    assert found == {"a": 1}
    assert exchange.slept == slept
    assert {str(each.url) for each in exchange.requests} == {"https://s.example/x/api"}


@pytest.mark.parametrize(
    ("answer", "message", "invalid"),
    [
        (REFUSED, "https://s.example/x does not answer: refused", False),
        (BUSY, "503", False),
        (httpx.Response(302, headers={"Location": "https://other"}), "redirects are not followed", False),
        (httpx.Response(404, text="<html>"), "the response is not that of a scheduler", False),
        (httpx.Response(200, text="<html>"), "the response is not JSON", False),
        (
            httpx.Response(403, json={"detail": "needs scope manage"}),
            "403: the key of READ_KEY was refused: needs scope manage",
            False,
        ),
        (httpx.Response(500, json=["x"]), "500", False),
        (
            httpx.Response(422, json={"detail": "bad", "errors": [{"location": "body.jobs", "message": "is missing"}]}),
            "bad\nbody.jobs: is missing",
            True,
        ),
    ],
)
async def test_failures_name_their_cause(answer: httpx.Response | Exception, message: str, invalid: bool) -> None:
    with pytest.raises(RemoteError) as failed:
        await Exchange(answer).api.get("/api")
    assert message in str(failed.value)
    assert failed.value.is_invalid_input is invalid


async def test_a_post_that_may_have_arrived_is_not_repeated() -> None:
    exchange = Exchange(LOST)

    with pytest.raises(RemoteError):
        await exchange.api.post("/api", {})
    assert len(exchange.requests) == 1


async def test_all_pages_of_a_list() -> None:
    pages = (
        {"jobs": [1, 2], "continuation": "c"},
        {"jobs": [], "continuation": "d"},
        {"jobs": [3], "continuation": None},
    )
    exchange = Exchange(*(httpx.Response(200, json=page) for page in pages))

    assert [each async for each in exchange.api.iterate("/api/jobs", "jobs", {"view": "full"})] == [1, 2, 3]
    assert [each.url.params.get("continuation") for each in exchange.requests] == [None, "c", "d"]
    assert exchange.requests[2].url.params["view"] == "full"


async def test_a_list_without_an_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.features.delivery.remote.MAX_PAGES", 3)
    exchange = Exchange(httpx.Response(200, json={"jobs": [1], "continuation": "c"}))

    with pytest.raises(RemoteError, match=r"more than 3 pages: check --url"):
        _ = [each async for each in exchange.api.iterate("/api/jobs", "jobs")]
    assert len(exchange.requests) == 3


@pytest.mark.parametrize("text", ["", '{"a":1}\n', '{"a":1}\n{"complete":false,"rows":1}\n', '{"a":'])
async def test_an_incomplete_export_is_an_error(text: str) -> None:
    with pytest.raises(RemoteError, match="the export is incomplete"):
        await Exchange(httpx.Response(200, text=text)).api.get_lines("/api/exports/runs")


async def test_the_rows_of_an_export() -> None:
    complete = httpx.Response(200, text='{"a":1}\n{"complete":true,"rows":1}\n')

    assert await Exchange(complete).api.get_lines("/api/exports/runs") == [{"a": 1}]


async def send(keys: RemoteKeys, method: str, path: str, answer: httpx.Response = OK) -> httpx.Request:
    """Return the request that a client with these keys sends. Raises RemoteError."""
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return answer

    async with open_remote("https://s.example", keys, httpx.MockTransport(respond)) as api:
        await (api.get(path) if method == "GET" else api.post(path, {}))
    return requests[0]


@pytest.mark.parametrize(("method", "key"), [("GET", "read-key"), ("POST", "change-key")])
async def test_each_request_has_its_key_as_the_scheduler_and_as_the_functions_host_read_it(
    method: str, key: str
) -> None:
    sent = (await send(KEYS, method, "/api")).headers

    assert (sent["authorization"], sent["x-functions-key"]) == (f"Bearer {key}", key)


async def test_without_a_key_no_credential_is_sent() -> None:
    sent = await send(NO_KEYS, "GET", "/api")

    assert not {"authorization", "x-functions-key"} & set(sent.headers)


@pytest.mark.parametrize(
    ("keys", "method", "path", "answer", "message"),
    [
        (KEYS, "GET", "/api/jobs", httpx.Response(401), "key of READ_KEY was refused. Set it .* the function `read`"),
        (KEYS, "POST", "/api/jobs/a/run", httpx.Response(403), "key of CHANGE_KEY was refused.* function `operate`"),
        (KEYS, "POST", "/api/sets/a/plan", httpx.Response(401, text="<html>"), "CHANGE_KEY .* function `manage_sets`"),
        (KEYS, "GET", "/api/jobs", httpx.Response(401, json={"detail": "unknown"}), "READ_KEY was refused: unknown$"),
        (NO_KEYS, "GET", "/api/jobs", httpx.Response(401), "no key was sent: A_KEY is not set. .* function `read`"),
    ],
)
async def test_a_refused_key_is_named_with_what_to_change(
    keys: RemoteKeys, method: str, path: str, answer: httpx.Response, message: str
) -> None:
    with pytest.raises(RemoteError, match=message) as failed:
        await send(keys, method, path, answer)

    assert failed.value.is_refused_key
    assert not {key.text for key in keys if key.text and key.text in str(failed.value)}


async def read_stream(answer: httpx.Response) -> list[str]:
    return [line async for line in Exchange(answer).api.stream_lines("/api/audit/export")]


class Parts(httpx.AsyncByteStream):
    """A body in these parts, of which the test counts those that were read."""

    def __init__(self, parts: Iterable[bytes], error: Exception | None = None) -> None:
        self.parts, self.error, self.read = parts, error, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            self.read += 1
            yield part
        if self.error is not None:
            raise self.error


@given(st.text(st.characters(exclude_characters="\n", codec="utf-8")), st.integers(1, 5))
async def test_lines_of_a_stream_are_whole_however_the_parts_are_cut(text: str, size: int) -> None:
    body = f"{text}\na\n\n{text}b".encode()
    parts = [body[start : start + size] for start in range(0, len(body), size)]

    assert await read_stream(httpx.Response(200, stream=Parts(parts))) == [text, "a", "", f"{text}b"]


async def test_a_stream_is_read_no_further_than_its_lines_are_used() -> None:
    parts = Parts(b"line\n" for _ in range(1_000_000))
    lines = Exchange(httpx.Response(200, stream=parts)).api.stream_lines("/api/audit/export")

    assert [await anext(lines) for _ in range(3)] == ["line"] * 3
    assert parts.read == 3
    await lines.aclose()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.Response(200, stream=Parts([b"a\n"], httpx.RemoteProtocolError("cut off"))), "is incomplete: cut off"),
        (httpx.Response(200, stream=Parts([bytes(65536)] * 200)), "a line of its body has more than"),
        (httpx.Response(200, content=b"", headers={"Content-Encoding": "br"}), "its body is not identity"),
        (httpx.Response(403, json={"detail": "needs admin"}), "the key of READ_KEY was refused: needs admin"),
        (httpx.Response(302, headers={"Location": "https://other"}), "redirects are not followed"),
    ],
)
async def test_a_stream_that_fails_is_an_error(answer: httpx.Response, message: str) -> None:
    with pytest.raises(RemoteError, match=message):
        await read_stream(answer)
