"""Storage queues, by Azurite over TLS with tokens, and by a server for what Azurite never answers."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.presets.library import NO_OWN_PRESETS
from jobs.checks.azure.budget import find_limits
from jobs.checks.binding.rules import Bindings
from jobs.definition import JobDefinition
from jobs.expectations import judge
from jobs.runs import ErrorClass, Failure, Observation
from tests.parts.azure_apis import AzureApis
from tests.parts.azurite import Azurite, running_azurite
from tests.parts.http_server import Answer, Request
from tests.parts.tls import AZURE, authority, client_context

SCOPE = "https://storage.azure.com/.default"
VERSION = {"x-ms-version": "2023-11-03"}


def token(**claims: Any) -> str:
    """A token as Microsoft Entra issues it; Azurite does not verify its signature."""
    now = int(time.time())
    known = {"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/shop/", "iat": now, "nbf": now - 60}
    parts = ({"alg": "RS256", "typ": "JWT"}, {**known, "exp": now + 3600, **claims})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "c2lnbmVk"])


@pytest.fixture(scope="module")
def azurite_over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    folder: Path = tmp_path_factory.mktemp("tls")
    files = folder / "certificate.pem", folder / "key.pem"
    issued = authority().issue_cert(*AZURE, "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(files[0])
    issued.private_key_pem.write_to_path(files[1])
    with running_azurite(certificate=files) as azurite:
        yield azurite


class Account(AzureApis):
    """The storage account in Azurite: checks reach it by the name that Azure gives it."""

    queues: str
    client: httpx.Client

    def answer(self, request: Request) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        response = self.client.request(request.method, f"{self.queues}{request.target}", headers=headers)
        forwarded = {
            name: value for name, value in response.headers.items() if name.startswith(("x-ms-", "content-type"))
        }
        return Answer(response.status_code, forwarded, response.content)

    def add(self, queue: str, messages: int) -> None:
        """Make a queue with so many messages."""
        headers = {**VERSION, "authorization": f"Bearer {token()}"}
        assert self.client.put(f"{self.queues}/{queue}", headers=headers).status_code in (201, 204)
        for _ in range(messages):
            content = "<QueueMessage><MessageText>x</MessageText></QueueMessage>"
            sent = self.client.post(f"{self.queues}/{queue}/messages", headers=headers, content=content)
            assert sent.status_code == 201

    async def check(self, queue: str, **more: Any) -> tuple[Observation, tuple[Failure, ...]]:
        return await check(self, {"account": "schedulertest", "queue": queue, **more})


async def check(azure: AzureApis, values: dict[str, Any]) -> tuple[Observation, tuple[Failure, ...]]:
    """Observe by the preset, and judge."""
    preset = NO_OWN_PRESETS.find("storage-queue")
    assert preset is not None
    job = JobDefinition.model_validate({"name": "a", **preset.fill(values).job})
    observed = await azure.observe(job.check.model_dump(mode="json", by_alias=True, exclude_unset=True))
    return observed, () if observed.unknown or observed.error else judge(observed, job.expect)


@pytest.fixture
async def account(azurite_over_tls: Azurite) -> AsyncIterator[Account]:
    with httpx.Client(verify=client_context(), trust_env=False) as client:
        async with Account.open() as account:
            account.queues, account.client = azurite_over_tls.queue_url, client
            account.tokens.values = {SCOPE: token()}
            yield account


@pytest.mark.azurite
async def test_a_queue_below_its_limit_without_a_poison_queue_is_up(account: Account, storage_prefix: str) -> None:
    account.add(storage_prefix, 3)
    observed, failures = await account.check(storage_prefix, limit=4)
    assert (observed.unknown, observed.error, failures) == ("", None, ())
    assert json.loads(observed.body) == {"rows": [{"name": storage_prefix, "messages": 3}]}


@pytest.mark.azurite
async def test_a_queue_with_too_many_messages_is_down(account: Account, storage_prefix: str) -> None:
    account.add(storage_prefix, 4)
    _, failures = await account.check(storage_prefix, limit=4)
    assert failures[0].observed == f"1 of 1 queues: {storage_prefix} (messages 4, below 4)"


@pytest.mark.azurite
async def test_an_empty_poison_queue_is_well_and_one_with_a_message_is_named(
    account: Account, storage_prefix: str
) -> None:
    account.add(storage_prefix, 0)
    account.add(f"{storage_prefix}-poison", 0)
    observed, failures = await account.check(storage_prefix)
    assert (observed.facts["row_count"], failures) == (2, ())
    account.add(f"{storage_prefix}-poison", 1)
    _, failures = await account.check(storage_prefix)
    assert f"{storage_prefix}-poison (messages 1, below 1)" in failures[0].observed


@pytest.mark.azurite
async def test_a_queue_that_does_not_exist_is_down(account: Account, storage_prefix: str) -> None:
    observed, _ = await account.check(storage_prefix)
    assert observed.error is ErrorClass.UNEXPECTED_STATUS
    assert observed.message.startswith(
        f"queue {storage_prefix} of storage account schedulertest does not exist (404 QueueNotFound)"
    )


@pytest.mark.azurite
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("no.token", id="not a token"),
        pytest.param(token(exp=1), id="expired"),
        pytest.param(token(aud="https://management.azure.com"), id="for another service"),
        pytest.param(token(iss="https://elsewhere.example/"), id="of another issuer"),
    ],
)
async def test_a_wrong_token_leaves_the_state_unknown_and_names_the_role(
    account: Account, storage_prefix: str, wrong: str
) -> None:
    account.add(storage_prefix, 0)
    account.tokens.values = {SCOPE: wrong}
    observed, _ = await account.check(storage_prefix)
    assert observed.error is None
    assert "refused the request (403 AuthenticationFailed)" in observed.unknown
    assert "lacks the role Storage Queue Data Reader at the storage account schedulertest." in observed.unknown
    assert wrong not in observed.unknown


def counted(messages: int | str) -> Answer:
    return Answer(200, {"x-ms-approximate-messages-count": str(messages)})


def refused(status: int, code: str, **headers: str) -> Answer:
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>No.</Message></Error>'.encode()
    return Answer(status, {"x-ms-error-code": code, "content-type": "application/xml", **headers}, body)


SHOP = {"account": "shopqueues", "queue": "orders"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused(401, "NoAuthenticationInformation"), "did not accept the token"),
        (refused(403, "AuthorizationPermissionMismatch"), "lacks the role Storage Queue Data Reader at the storage"),
        (refused(403, "AuthorizationFailure"), "It can also be the firewall of the account."),
        (refused(429, "TooManyRequests", **{"retry-after": "2"}), "no requests until"),
        (refused(500, "InternalError"), "failed (500 InternalError). This is not the target's fault."),
        (refused(503, "ServerBusy"), "failed (503 ServerBusy)"),
        (Answer(reset=True), "reset the connection"),
        (Answer(200), "answered without a number of messages"),
        (counted("many"), "answered without a number of messages"),
        (counted("9" * 40), "answered without a number of messages"),
    ],
)
async def test_a_service_that_does_not_tell_leaves_the_state_unknown(answer: Answer, words: str) -> None:
    for earlier in ([], [counted(1)]):  # of the queue, of its poison queue
        async with AzureApis.open() as azure:
            azure.script = [*earlier, answer]
            observed, _ = await check(azure, SHOP)
            assert observed.error is None
            assert words in observed.unknown


async def test_the_token_for_storage_goes_to_the_account_alone() -> None:
    async with AzureApis.open() as azure:
        azure.script = [counted(1), counted(0)]
        await check(azure, SHOP)
        assert [(sent.target, sent.headers["host"]) for sent in azure.requests] == [
            ("/orders?comp=metadata", "shopqueues.queue.core.windows.net"),
            ("/orders-poison?comp=metadata", "shopqueues.queue.core.windows.net"),
        ]
        assert {sent.headers["authorization"] for sent in azure.requests} == {"Bearer token-for-storage.azure.com"}
    async with AzureApis.open(bindings=Bindings(unbound_scopes=False)) as azure:
        observed, _ = await check(azure, SHOP)
        assert observed.error is ErrorClass.TARGET_DENIED
        assert not azure.requests


def test_accounts_share_no_limit_with_each_other_or_with_resource_manager() -> None:
    (first,) = find_limits("GET", "https://shopqueues.queue.core.windows.net/orders?comp=metadata")
    (second,) = find_limits("GET", "https://mailqueues.queue.core.windows.net/orders?comp=metadata")
    assert str(first) == "requests to shopqueues.queue.core.windows.net"
    assert first != second


@pytest.mark.parametrize("queue", ["query", "metrics"])
def test_a_queue_may_be_called_like_an_api(queue: str) -> None:
    job = JobDefinition.model_validate({"name": "a", "check": {"kind": "azure_queue", **SHOP, "queue": queue}})
    assert job.check.least_interval.seconds == 30  # type: ignore[union-attr]
