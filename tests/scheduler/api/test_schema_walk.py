"""The API takes what its OpenAPI document allows, refuses what it forbids, and answers as it says: every operation is
asked with generated values, good ones and bad ones."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jobs.formats import parse_duration
from scheduler.api.routing import MAX_WAIT, WAIT_PATTERN, parse_wait
from tests.jobs.running.run_parts import REFUSED
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

EXAMPLES = 20
"""For each operation, of good and of bad requests."""
SEMANTIC = {
    "query.from",
    "query.to",
    "query.continuation",
    "body.from",
    "body.to",
    "body.until",
    "body.limit",
    "body.at",
}
SEMANTIC |= {"query.timezone", "query.month", "query.window", "body.all", "body.addresses", "body.expires_at"}
SEMANTIC |= {f"query.{filter}" for filter in ("name", "kind", "tag", "state", "outcome")}
SEMANTIC |= {
    f"body.{key}"
    for key in ("for", "note", "ends_at", "starts_at", "reason", "name", "change_id", "text", "tags", "at")
}
SEMANTIC |= {f"body.{key}" for key in ("select", "schedule", "weekly", "calendar", "except", "timezone")} | {"body"}
"""What a schema cannot say: an instant that is past or future, an order of two, a mark of the page before, a name
of a time zone, two periods, a selection without a filter, a network, filters of the full view, keys of job files."""
DEFINED = ("body.select.", "body.schedule.", "body.weekly.", "body.calendar.", "body.except.")
KNOWN = {
    "name": ["checkout", "other", "nightly-token"],
    "key": ["checkout", "other", "group:none"],
    "run_id": ["checkout@20260301T120000.000Z"],
    "letter_id": ["nothing"],
    "token": ["2fd4e1c67a2d28fced849ee1bb76e739"],
    "result": ["start", "0", "255", "256"],
}
INSTANTS = ["2026-02-28T00:00:00Z", "2026-03-01T11:59:00+01:00", "2026-03-01T12:00:00", "2030-01-01T00:00:00Z"]
WAITS = ["0s", "1ms", "0m0s", "0m", "0.001s"]
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


class Walked:
    """The API and its document, in an event loop of its own, as Hypothesis calls a plain function."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        jobs = [entry(timeout={"attempt": "1s", "run": "2s"}), entry("other", schedule=None)]
        self._client = self._runner.run(self._open(jobs))
        self.document: dict[str, Any] = self.send_request("GET", "/api/openapi.json").json()

    async def _open(self, jobs: Any) -> ApiClient:
        return ApiClient(REFUSED, jobs=jobs)

    def send_request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **options))

    def close(self) -> None:
        self._runner.run(self._client.__aexit__(None, None, None))
        self._runner.close()

    def operation(self, method: str, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.document["paths"][path][method]
        return found

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        name = schema.get("$ref", "").rpartition("/")[2]
        return self.document["components"]["schemas"][name] if name else schema


@pytest.fixture(scope="module")
def walked() -> Iterator[Walked]:
    found = Walked()
    yield found
    found.close()


def operations() -> list[tuple[str, str]]:
    async def described() -> dict[str, Any]:
        async with ApiClient() as client:
            found: dict[str, Any] = (await client.get("/api/openapi.json")).json()["paths"]
            return found

    return [
        (method, path)
        for path, methods in asyncio.run(described()).items()
        for method, operation in methods.items()
        if not takes_definition(operation)
    ]


def takes_definition(operation: dict[str, Any]) -> bool:
    """Whether the body is a definition or a job file, which the schema of a request does not describe."""
    content = operation.get("requestBody", {}).get("content")
    if content is None:
        return False
    schema = content.get("application/json", {}).get("schema", {})
    return not ("$ref" in schema or "anyOf" in schema or "properties" in schema)


OPERATIONS = operations()
WALK = settings(
    max_examples=EXAMPLES,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)

FEW = settings(WALK, max_examples=2)


def good(schema: dict[str, Any], name: str, walked: Walked) -> st.SearchStrategy[Any]:
    """Values that the schema allows."""
    schema = walked.resolved(schema)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if name == "wait":
        return st.sampled_from(WAITS)
    if "anyOf" in schema and schema.get("type") != "object":
        return st.one_of([good(one, name, walked) for one in schema["anyOf"]])
    match schema["type"]:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case "number":
            least = schema.get("exclusiveMinimum", schema.get("minimum"))
            return st.floats(least, schema["maximum"], exclude_min="exclusiveMinimum" in schema)
        case "array":
            return st.lists(good(schema["items"], name, walked), max_size=schema["maxItems"])
        case "object":
            return good_object(schema, walked)
        case "string":
            return good_text(schema, name)
    raise AssertionError(f"the walker knows no {schema}")


def good_text(schema: dict[str, Any], name: str) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time" or name in ("from", "to", "at"):
        return st.sampled_from(INSTANTS)
    if "pattern" in schema:
        return st.from_regex(re.compile(schema["pattern"], re.ASCII), fullmatch=True)
    return st.sampled_from(KNOWN.get(name, ["x"])) | ANY_TEXT.filter(
        lambda text: schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", 60)
    )


def good_object(schema: dict[str, Any], walked: Walked) -> st.SearchStrategy[dict[str, Any]]:
    properties = schema.get("properties", {})  # a merge patch has none: any member of a definition
    strategies = {name: good(one, name, walked) for name, one in properties.items()}
    required = set(schema.get("required", ()))
    optional = {name: one for name, one in strategies.items() if name not in required}
    objects = st.fixed_dictionaries({name: strategies[name] for name in required}, optional=optional)
    return objects.filter(lambda found: fits_one(found, schema.get("anyOf")))


def fits_one(found: dict[str, Any], variants: list[dict[str, Any]] | None) -> bool:
    """Whether one of these variants of an object holds: a member that is needed, in its form."""
    return variants is None or any(
        isinstance(found.get(name), str) and re.search(form.get("pattern", ""), found[name])
        for variant in variants
        for name, form in variant["properties"].items()
    )


def bad_values(schema: dict[str, Any], name: str, walked: Walked, *, in_text: bool) -> list[Any]:
    """Values that the schema forbids; `in_text`: of a query, where all is text."""
    schema = walked.resolved(schema)
    variants = [walked.resolved(one) for one in schema.get("anyOf", ())] or [schema]
    kinds = {one.get("type") for one in variants} | set(schema["type"] if isinstance(schema.get("type"), list) else ())
    found: list[Any] = []
    for one in (schema, *variants):
        if "minimum" in one:
            found += [one["minimum"] - 1, one["maximum"] + 1, -(10**30), 10**30]
        if "exclusiveMinimum" in one:
            found += [one["exclusiveMinimum"], one["maximum"] * 1.001, -1.5]
        if "maxLength" in one:
            found += ["x" * (one["maxLength"] + 1), " " * (one["maxLength"] + 1)]
        if one.get("minLength", 0) > 0:
            found += [""]
        if "enum" in one or "pattern" in one:
            found += ["", "nothing like it", "\x00", "%", "\u0661s"]
        if one.get("format") == "date-time":
            found += ["yesterday", "2026-13-01T00:00:00Z", ""]
    if "integer" in kinds or "number" in kinds:
        found += ["x", "", "1e400"] if in_text else ["1", True, [1], {}]
    if not any("enum" in one for one in (schema, *variants)) and "string" in kinds:
        found = [one for one in found if not (isinstance(one, str) and allowed(one, [schema, *variants]))]
    if not in_text:
        found += [one for one in (1.5, "text", [], {"a": 1}) if "object" not in kinds and "number" not in kinds]
        found = [one for one in found if not ("string" in kinds and isinstance(one, str) and allowed(one, variants))]
        if "boolean" in kinds:
            found += [0, 1, "true"]
        if "null" not in kinds:
            found.append(None)
    return found


def allowed(text: str, variants: list[dict[str, Any]]) -> bool:
    """Whether a text fits one of the variants that are strings."""
    return any(
        "string" in (one.get("type") or ())
        and one.get("minLength", 0) <= len(text) <= one.get("maxLength", 10**9)
        and re.search(one.get("pattern", ""), text)
        and one.get("format") is None
        for one in variants
    )


def request(draw: Any, walked: Walked, method: str, path: str) -> tuple[str, list[tuple[str, str]], Any]:
    """A request that the document allows: address, query, body. Headers have their own tests."""
    operation = walked.operation(method, path)
    query: list[tuple[str, str]] = []
    for parameter in operation.get("parameters", ()):
        name = parameter["name"]
        if parameter["in"] == "path":
            schema = {"maxLength": 60, **parameter["schema"]}
            value = draw(
                good(schema, name, walked).map(str).filter(lambda text: "/" not in text and text not in ("", ".", ".."))
            )
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        elif parameter["in"] == "query" and (parameter.get("required") or draw(st.booleans())):
            value = draw(good(parameter["schema"], name, walked))
            values = value if isinstance(value, list) else [value]
            query += [(name, str(one)) for one in values if one is not None]
    content = operation.get("requestBody", {}).get("content")
    body = draw(good(content["application/json"]["schema"], "body", walked)) if content else None
    return path, query, body


def judged(answer: httpx.Response, operation: dict[str, Any]) -> None:
    """Nothing is answered that the document does not describe."""
    status = str(answer.status_code)
    assert status in operation["responses"], (status, answer.text)
    if status.startswith("4"):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_the_document_allows_is_not_refused_for_its_form(method: str, path: str, walked: Walked) -> None:
    @WALK
    @given(st.data())
    def requested(data: st.DataObject) -> None:
        address, query, body = request(data.draw, walked, method, path)
        answer = walked.send_request(method.upper(), address, params=query, **sent(body))
        judged(answer, walked.operation(method, path))
        assert answer.status_code != 400, answer.text
        if answer.status_code == 422:
            wrong = {error["location"] for error in answer.json().get("errors", [])}
            assert wrong
            # Below a key of a definition, any key can be wrong.
            wrong = {".".join(each.split(".")[:2]) if each.startswith(DEFINED) else each for each in wrong}
            assert wrong <= SEMANTIC, answer.text

    requested()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_the_document_forbids_is_refused(method: str, path: str, walked: Walked) -> None:
    operation = walked.operation(method, path)
    wrong_queries = [
        (parameter["name"], value)
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
        for value in bad_parameters(parameter, walked)
    ]
    content = operation.get("requestBody", {}).get("content")
    wrong_bodies = list(bad_bodies(content["application/json"]["schema"], walked)) if content else []
    if not path.startswith(("/api/ping/", "/api/health", "/api/status")):  # these let senders add parameters
        wrong_queries.append(("nothing-known", "1"))

    @FEW
    @given(st.data())
    def requested(data: st.DataObject) -> None:
        address, query, body = request(data.draw, walked, method, path)
        for name, value in wrong_queries:
            requesting = [one for one in query if one[0] != name] + [(name, value)]
            refused(walked.send_request(method.upper(), address, params=requesting, **sent(body)), (name, value))
        for wrong in wrong_bodies:
            refused(walked.send_request(method.upper(), address, params=query, **sent(wrong)), wrong)

    def refused(answer: httpx.Response, spoilt: Any) -> None:
        judged(answer, operation)
        # What is not there is refused as that where the route looks for it first.
        assert 400 <= answer.status_code < 500, (spoilt, answer.text)

    if wrong_queries or wrong_bodies:
        requested()


def sent(body: Any) -> dict[str, Any]:
    return {} if body is None else {"json": body}


def bad_parameters(parameter: dict[str, Any], walked: Walked) -> Iterator[str]:
    schema = parameter["schema"]
    name = parameter["name"]
    for value in bad_values(schema.get("items", schema), name, walked, in_text=True):
        yield str(value)
    if name == "wait":
        yield from ("5", "-1s", "10 s s", "1h", "200.1s", "s")


def bad_bodies(schema: dict[str, Any], walked: Walked) -> Iterator[Any]:
    variants = [walked.resolved(one) for one in schema.get("anyOf", (schema,))]
    (model,) = (one for one in variants if one["type"] == "object")
    base = dict.fromkeys(model.get("required", ()), INSTANTS[0]) or {"reason": "x"}
    yield from ([], "text", 1, True, {**base, "nothing_known": 1})
    if model.get("required") or model.get("anyOf"):
        yield {}
    if "anyOf" in model:
        yield from ({"limit": 5}, {"reason": ""}, {"reason": "  "}, {"job": None}, {"after": None, "before": None})
    for name, one in model["properties"].items():
        for value in bad_values(one, name, walked, in_text=False):
            yield {**base, name: value}


def test_a_wait_of_the_schema_is_one_of_the_code() -> None:
    assert all(parse_duration(wait) <= MAX_WAIT for wait in WAITS)


@WALK
@given(st.from_regex(re.compile(WAIT_PATTERN, re.ASCII), fullmatch=True))
def test_a_wait_of_the_form_in_the_schema_is_allowed(wait: str) -> None:
    assert 0 <= parse_wait(wait) <= MAX_WAIT


@pytest.mark.parametrize("wait", ["3m21s", "200.1s", "201s", "200001ms", "1h", "4m", "10", "s"])
def test_the_schema_forbids_a_longer_wait(wait: str) -> None:
    assert not re.search(WAIT_PATTERN, wait)
