"""News of secrets reach every process by the store; those that expire are told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobs.model_base import find_secret_names
from scheduler.catalog.catalog import Catalog
from scheduler.features.secrets.service import VERSION_CHECK_INTERVAL, SecretMonitor
from scheduler.hosts.functions.secret_events import EXPIRED, NEAR_EXPIRY, NEW_VERSION, handle_vault_event
from scheduler.stores.findings import SecretExpiry
from scheduler.stores.port import StoreUnavailable
from tests.scheduler.fakes import HeardOfSecrets, MemoryKept, VirtualClock, entry
from tests.scheduler.stores.memory import MemoryData, MemoryStore

TOKEN = {"url": "http://127.0.0.1:9/", "auth": {"kind": "bearer", "token": {"secret": "checkout_token"}}}
END = datetime(2026, 12, 1, 10, tzinfo=UTC)
VAULT = "https://our-vault.vault.azure.net"


class Instance:
    """A process with its own kept secrets over the shared store."""

    def __init__(self, data: MemoryData) -> None:
        self.store, self.kept, self.heard, self.clock = (
            MemoryStore(data),
            MemoryKept(),
            HeardOfSecrets(),
            VirtualClock(),
        )
        catalog = Catalog([entry(check=TOKEN), entry("other")])
        self.watch = SecretMonitor(self.store, self.kept, catalog, self.heard, self.clock)


@pytest.fixture
def data() -> MemoryData:
    return MemoryData()


@pytest.fixture
def here(data: MemoryData) -> Instance:
    return Instance(data)


@pytest.fixture
def there(data: MemoryData) -> Instance:
    return Instance(data)


async def test_a_new_version_is_read_again_in_every_process(here: Instance, there: Instance) -> None:
    await there.watch.check_versions()
    assert await here.watch.record_new_version("Checkout-Token", "v2")
    assert here.kept.dropped == ["checkout-token"]
    await there.watch.check_versions()
    assert there.kept.dropped == []  # a look is good for a while
    there.clock.move(VERSION_CHECK_INTERVAL)
    await there.watch.check_versions()
    assert there.kept.dropped == ["checkout-token"]


async def test_the_same_news_drop_a_value_once(here: Instance) -> None:
    for _ in range(2):
        await here.watch.record_new_version("checkout-token", "v2")
    here.clock.move(VERSION_CHECK_INTERVAL)
    await here.watch.check_versions()
    assert here.kept.dropped == ["checkout-token"]


async def test_a_secret_that_no_job_uses_is_left_alone(here: Instance) -> None:
    assert not await here.watch.record_new_version("somebody-elses", "v2")
    assert not await here.watch.record_expiry("somebody-elses", SecretExpiry(END, past=False))
    assert (here.kept.dropped, here.heard.told, here.watch.expiry_messages()) == ([], [], ())


async def test_an_expiry_is_reported_once_and_known_everywhere_until_there_is_a_new_version(
    here: Instance, there: Instance
) -> None:
    sentence = "the secret checkout-token expires on 2026-12-01 10:00:00Z: add a new version to the vault"
    for _ in range(2):
        await here.watch.record_expiry("checkout-token", SecretExpiry(END, past=False))
    assert here.heard.told == [(sentence, False)]
    await there.watch.check_versions()
    assert list(there.watch.expiry_messages()) == [sentence]
    await here.watch.record_new_version("checkout-token", "v2")
    assert here.heard.told[1:] == [("the secret checkout-token has a new version", True)]
    assert list(here.watch.expiry_messages()) == []
    there.clock.move(VERSION_CHECK_INTERVAL)
    await there.watch.check_versions()
    assert list(there.watch.expiry_messages()) == []


async def test_a_secret_that_has_expired_reports_it(here: Instance) -> None:
    await here.watch.record_expiry("checkout-token", SecretExpiry(END, past=False))
    await here.watch.record_expiry("checkout-token", SecretExpiry(END, past=True))
    assert list(here.watch.expiry_messages()) == [
        "the secret checkout-token has expired on 2026-12-01 10:00:00Z: add a new version to the vault"
    ]
    assert len(here.heard.told) == 2


async def test_a_store_that_is_unavailable_prevents_no_one_from_working(
    here: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def unavailable(*_: str) -> None:
        raise StoreUnavailable("the store is away")

    monkeypatch.setattr(here.store, "get_row", unavailable)
    await here.watch.check_versions()
    assert "could not read secret versions" in caplog.text


async def test_events_of_the_vault_are_accepted(here: Instance) -> None:
    event = {"ObjectName": "checkout-token", "VaultName": "Our-Vault", "Version": "v2", "EXP": END.timestamp()}
    await handle_vault_event(here.watch, VAULT, NEAR_EXPIRY, event)
    assert len(here.watch.expiry_messages()) == 1
    await handle_vault_event(here.watch, VAULT, EXPIRED, {**event, "EXP": None})
    assert list(here.watch.expiry_messages()) == [
        "the secret checkout-token has expired: add a new version to the vault"
    ]
    await handle_vault_event(here.watch, VAULT, NEW_VERSION, event)
    assert (here.watch.expiry_messages(), here.kept.dropped) == ((), ["checkout-token"])


@pytest.mark.parametrize(
    ("vault_url", "kind", "change"),
    [
        (VAULT, NEW_VERSION, {"VaultName": "other-vault"}),
        (None, NEW_VERSION, {}),
        (VAULT, "Microsoft.KeyVault.KeyNewVersionCreated", {}),
        (VAULT, NEW_VERSION, {"ObjectName": None}),
    ],
)
async def test_events_of_something_else_are_left_alone(
    vault_url: str | None, kind: str, change: dict[str, object], here: Instance
) -> None:
    event = {"ObjectName": "checkout-token", "VaultName": "our-vault", "Version": "v2", **change}
    await handle_vault_event(here.watch, vault_url, kind, event)
    assert here.kept.dropped == []


def test_the_secrets_of_a_job_are_found_wherever_they_stand() -> None:
    check = {
        "url": "http://127.0.0.1:9/",
        "method": "POST",
        "headers": {"X-One": {"secret": "one"}, "X-Plain": "plain"},
        "query": {"two": {"secret": "two"}},
        "body": {"form": {"three": {"secret": "three"}}},
        "auth": {"kind": "basic", "username": {"secret": "four"}, "password": {"secret": "one"}},
    }
    assert find_secret_names(entry(check=check).job) == {"one", "two", "three", "four"}
