from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from jobs.responses import BlockingClient
from observability.generation.azure.arm_client import MAX_REQUESTS, MAX_RETRY_AFTER_S, ArmClient
from observability.generation.document import ToolError
from tests.observability.generation.azure.api.commands import rule_path
from tests.parts.arm_server import TOKEN, ArmServer, ScriptedAnswer

PATH = rule_path("shop")
VERSION = {"api-version": "2023-12-01"}
BODY = {"properties": {}}


class Client:
    def __init__(self, http: BlockingClient, tokens: list[str]) -> None:
        self.waits: list[float] = []
        self.arm = ArmClient(http, lambda: tokens.pop(0), self.waits.append)


@pytest.fixture
def tokens() -> list[str]:
    return [TOKEN, TOKEN]


@pytest.fixture
def client(arm: ArmServer, tokens: list[str]) -> Iterator[Client]:
    with BlockingClient(httpx.AsyncClient(base_url=arm.url)) as http:
        yield Client(http, tokens)


def test_a_resource_that_does_not_exist_is_none(client: Client) -> None:
    assert client.arm.get(PATH, VERSION) is None


def test_a_throttled_request_is_sent_again_when_the_service_allows_it(arm: ArmServer, client: Client) -> None:
    arm.scripted["PUT"] = [ScriptedAnswer(429, headers={"Retry-After": "17"}), ScriptedAnswer(503)]
    client.arm.put(PATH, VERSION, BODY, None)
    assert PATH in arm.resources
    assert client.waits == [17.0, 4.0]


def test_a_service_that_stays_unavailable_ends_with_its_reason(arm: ArmServer, client: Client) -> None:
    busy = {"error": {"code": "ServerBusy", "message": "Try later."}}
    arm.scripted["GET"] = [ScriptedAnswer(503, busy, {"Retry-After": "9999"})] * MAX_REQUESTS
    with pytest.raises(ToolError, match=r"answered 503 to GET .*: ServerBusy: Try later"):
        client.arm.get(PATH, VERSION)
    assert client.waits == [MAX_RETRY_AFTER_S] * (MAX_REQUESTS - 1)


def test_a_conflict_reports_what_to_do(arm: ArmServer, client: Client) -> None:
    arm.scripted["PUT"] = [ScriptedAnswer(409, {"error": {"code": "Conflict", "message": "Another operation runs"}})]
    with pytest.raises(ToolError, match="another deployment changes it; apply again"):
        client.arm.put(PATH, VERSION, BODY, None)


def test_a_resource_that_was_changed_meanwhile_is_not_replaced(arm: ArmServer, client: Client) -> None:
    client.arm.put(PATH, VERSION, BODY, None)
    with pytest.raises(ToolError, match="it was changed meanwhile"):
        client.arm.put(PATH, VERSION, BODY, '"0"')


def test_a_missing_resource_group_is_an_error(arm: ArmServer, client: Client) -> None:
    missing = {"error": {"code": "ResourceGroupNotFound", "message": "No Shop"}}
    arm.scripted["PUT"] = [ScriptedAnswer(404, missing)]
    with pytest.raises(ToolError, match="check the subscription and the resource group"):
        client.arm.put(PATH, VERSION, BODY, None)


def test_an_expired_token_is_replaced_once(arm: ArmServer, client: Client, tokens: list[str]) -> None:
    tokens[:] = ["expired", TOKEN]
    assert client.arm.get(PATH, VERSION) is None
    assert tokens == []


def test_a_refused_token_ends_with_a_remedy_and_without_the_token(client: Client, tokens: list[str]) -> None:
    tokens[:] = ["refused-1", "refused-2"]
    with pytest.raises(ToolError, match="sign in with `az login`") as error:
        client.arm.get(PATH, VERSION)
    assert "refused" not in str(error.value)


def test_an_operation_that_takes_long_is_awaited(arm: ArmServer, client: Client) -> None:
    accepted = {"Azure-AsyncOperation": f"{arm.url}/operations/1", "Retry-After": "2"}
    arm.scripted["PUT"] = [ScriptedAnswer(202, headers=accepted)]
    arm.scripted["GET"] = [ScriptedAnswer(200, {"status": "InProgress"}, {"Retry-After": "3"})]
    client.arm.put(PATH, VERSION, BODY, None)
    assert client.waits == [2.0, 3.0]


def test_an_operation_that_fails_is_an_error(arm: ArmServer, client: Client) -> None:
    arm.scripted["PUT"] = [ScriptedAnswer(201, headers={"Azure-AsyncOperation": f"{arm.url}/operations/1"})]
    failed = {"status": "Failed", "error": {"code": "BadQuery", "message": "The query is invalid."}}
    arm.scripted["GET"] = [ScriptedAnswer(200, failed)]
    with pytest.raises(ToolError, match="failed the operation: BadQuery: The query is invalid"):
        client.arm.put(PATH, VERSION, BODY, None)


def test_the_result_of_an_operation_is_awaited_at_its_location(arm: ArmServer, client: Client) -> None:
    arm.scripted["DELETE"] = [ScriptedAnswer(202, headers={"Location": f"{arm.url}/operations/2"})]
    arm.scripted["GET"] = [ScriptedAnswer(202), ScriptedAnswer(204)]
    client.arm.delete(PATH, VERSION)
    assert len(client.waits) == 2


def test_the_token_is_not_sent_to_another_address(arm: ArmServer, client: Client) -> None:
    arm.scripted["PUT"] = [ScriptedAnswer(202, headers={"Location": "https://attacker.example/operations/2"})]
    with pytest.raises(ToolError, match=r"referred to another address, attacker\.example"):
        client.arm.put(PATH, VERSION, BODY, None)


def test_deleting_what_does_not_exist_is_a_success(client: Client) -> None:
    client.arm.delete(PATH, VERSION)
