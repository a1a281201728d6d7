from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from jobs.checks.net.network import MAX_ADDRESSES, ResolvedAddress, Resolver
from tests.jobs.checks.http_check import wait_until


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    made = Resolver(threads=2)
    yield made
    made.close()


class SlowNames:
    """Stands in for socket.getaddrinfo: names are known, but are answered only when `answer` is set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = threading.Event()

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        assert self.answer.wait(5)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowNames]:
    names = SlowNames()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    yield names
    names.answer.set()


async def test_a_name_has_its_addresses(resolver: Resolver) -> None:
    assert ResolvedAddress(socket.AF_INET, "127.0.0.1", 80) in await resolver.resolve("localhost", 80)


async def test_an_unknown_name_is_an_error(resolver: Resolver) -> None:
    with pytest.raises(socket.gaierror):
        await resolver.resolve("nowhere.invalid", 80)


async def test_a_name_that_is_requested_twice_at_once_is_resolved_once(resolver: Resolver, slow: SlowNames) -> None:
    first, second = (asyncio.ensure_future(resolver.resolve("a", 80)) for _ in range(2))
    await asyncio.sleep(0)
    slow.answer.set()
    assert await first == await second
    assert slow.asked == ["a"]


async def test_who_stops_does_not_end_the_look_up_for_others(resolver: Resolver, slow: SlowNames) -> None:
    first, second = (asyncio.ensure_future(resolver.resolve("a", 80)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    slow.answer.set()
    assert await second
    assert first.cancelled()


async def test_a_slow_name_does_not_hold_up_another_one(resolver: Resolver, slow: SlowNames) -> None:
    stuck = asyncio.ensure_future(resolver.resolve("a", 80))
    await asyncio.sleep(0)
    other = asyncio.ensure_future(resolver.resolve("b", 80))
    await wait_until(lambda: len(slow.asked) == 2)
    slow.answer.set()
    assert await stuck
    assert await other


async def test_no_more_threads_than_allowed_are_started(resolver: Resolver, slow: SlowNames) -> None:
    before = set(threading.enumerate())
    waiting = [asyncio.ensure_future(resolver.resolve(name, 80)) for name in "abcdef"]
    await asyncio.sleep(0)
    assert len(set(threading.enumerate()) - before) == 2
    slow.answer.set()
    assert len(await asyncio.gather(*waiting)) == 6


async def test_a_closed_resolver_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    resolver = Resolver()
    await resolver.resolve("localhost", 80)
    resolver.close()
    await wait_until(lambda: not set(threading.enumerate()) - before)


async def test_an_error_that_no_one_waits_for_any_more_is_no_noise(resolver: Resolver, slow: SlowNames) -> None:
    noise: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    task = asyncio.ensure_future(resolver.resolve("a" * 5, 80))
    await asyncio.sleep(0)
    task.cancel()
    slow.answer.set()
    await asyncio.wait((task,))
    await asyncio.sleep(0.005)
    assert noise == []


async def test_a_hundred_silent_names_hold_up_no_other(monkeypatch: pytest.MonkeyPatch, slow: SlowNames) -> None:
    def lookup(host: str, port: int, **options: Any) -> list[Any]:
        return slow(host, port) if host != "well.test" else [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    made = Resolver()
    silent = [asyncio.ensure_future(made.resolve(f"{number}.test", 80)) for number in range(100)]
    await wait_until(lambda: len(slow.asked) == 100)
    assert await made.resolve("well.test", 80) == [ResolvedAddress(socket.AF_INET, "127.0.0.1", 80)]
    slow.answer.set()
    await asyncio.gather(*silent)
    made.close()


async def test_of_a_name_with_thousands_of_addresses_some_are_checked(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"10.1.{number // 256}.{number % 256}", 80))
        for number in range(4000)
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: many)
    found = await resolver.resolve("many.test", 80)
    assert [address.host for address in found] == [place[0] for *_, place in many[:MAX_ADDRESSES]]
