"""The queue and the thread below every exporter: quick to take, bounded, honest, and over in time."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from jobs.redaction import Redactor
from observability.exporters.background import EVENT_QUEUE_CAPACITY, BackgroundExporter
from observability.telemetry import Telemetry
from tests.observability import runs
from tests.observability.fakes import RecordingDelivery, until


def exporter(
    delivery: RecordingDelivery, *, capacity: int = 100, hurry_at: int = 50, gather_s: float = 0.0
) -> BackgroundExporter:
    redactor = Redactor()
    redactor.add_permanent("hunter-two")
    return BackgroundExporter(
        "played", delivery, redactor, gather_seconds=gather_s, urgent_size=hurry_at, capacity=capacity
    )


async def test_what_is_offered_is_delivered_in_order() -> None:
    delivery = RecordingDelivery()
    made = exporter(delivery)
    made.start()
    events = [runs.reported(runs.run(job=f"job-{number}")) for number in range(30)]
    for event in events:
        made.offer(event)
    await made.aclose(5)
    assert delivery.events == events
    assert delivery.closed
    assert (made.health().state, made.health().sent, made.health().dropped) == ("on", 30, 0)


async def test_what_is_offered_before_the_start_is_delivered_too() -> None:
    delivery = RecordingDelivery()
    made = exporter(delivery)
    made.offer(runs.reported())
    made.start()
    await made.aclose(5)
    assert len(delivery.events) == 1


async def test_events_are_gathered_until_there_are_many() -> None:
    delivery = RecordingDelivery()
    made = exporter(delivery, gather_s=60, hurry_at=5)
    made.start()
    for _ in range(6):
        made.offer(runs.reported())
    await until(lambda: len(delivery.events) == 6)
    await made.aclose(5)


async def test_a_slow_other_end_delays_no_offer_and_what_does_not_fit_is_counted() -> None:
    delivery = RecordingDelivery()
    made = exporter(delivery, capacity=10)
    made.start()
    delivery.gate.clear()
    made.offer(runs.reported())
    await until(delivery.delivering.is_set)
    event = runs.reported()
    for _ in range(1000):  # one that waited would wait for ever: the gate is opened below
        made.offer(event)
    assert (made.health().state, made.health().dropped) == ("degraded", 990)
    delivery.gate.set()
    await made.aclose(5)
    assert len(delivery.events) == 11


async def test_a_delivery_that_fails_costs_its_events_only(caplog: pytest.LogCaptureFixture) -> None:
    failing = [RuntimeError("hunter-two refused")]

    def fails() -> Exception:
        return failing[0]

    delivery = RecordingDelivery(fails=fails)
    made = exporter(delivery)
    made.start()
    made.offer(runs.reported())
    await until(lambda: made.health().dropped == 1)
    assert (made.health().state, made.health().last_error) == ("degraded", "RuntimeError: *** refused")
    delivery._fails = None
    made.offer(runs.reported())
    await until(lambda: made.health().sent == 1)
    assert made.health().state == "on"
    await made.aclose(5)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "hunter-two" not in caplog.text


async def test_an_sdk_that_cannot_be_set_up_is_reported_and_its_events_are_counted() -> None:
    delivery = RecordingDelivery(cannot_open=ImportError("no module named sdk"))
    made = exporter(delivery)
    made.offer(runs.reported())
    made.start()
    await until(lambda: made.health().dropped == 1)
    made.offer(runs.reported())
    health = made.health()
    assert (health.state, health.dropped) == ("degraded", 2)
    assert health.last_error == "cannot be set up: ImportError: no module named sdk"
    await made.aclose(5)


async def test_closing_is_bounded_and_what_is_left_is_counted() -> None:
    delivery = RecordingDelivery()
    made = exporter(delivery)
    made.start()
    delivery.gate.clear()
    made.offer(runs.reported())
    await until(delivery.delivering.is_set)
    made.offer(runs.reported())
    started = time.monotonic()
    await made.aclose(0.05)
    assert time.monotonic() - started < 20
    assert made.health().dropped == 1
    made.offer(runs.reported())
    assert made.health().dropped == 2
    delivery.gate.set()


async def test_a_delivery_knows_how_long_it_has_left() -> None:
    delivery = RecordingDelivery()
    made = exporter(delivery)
    made.start()
    await until(delivery.opened.is_set)
    assert delivery.closing.remaining_seconds(otherwise=7.0) == 7.0
    await made.aclose(5)
    assert 0.0 < delivery.closing.remaining_seconds(otherwise=7.0) <= 5.0
    assert delivery.closing.remaining_seconds(otherwise=1.0) == 1.0


async def test_a_delivery_that_keeps_something_back_is_called_again() -> None:
    delivery = RecordingDelivery()
    delivery.delay = 0.001
    made = exporter(delivery)
    made.start()
    await until(lambda: len(delivery.batches) >= 3)
    assert delivery.events == []
    await made.aclose(5)


async def test_an_idle_exporter_sleeps() -> None:
    delivery = RecordingDelivery()
    made = exporter(delivery)
    made.start()
    await until(delivery.opened.is_set)
    await asyncio.sleep(0.005)
    assert delivery.batches == []
    await made.aclose(5)


async def test_closing_what_was_never_started_does_nothing() -> None:
    delivery = RecordingDelivery()
    await exporter(delivery).aclose(5)
    assert not delivery.closed


async def test_exporters_that_hang_hold_so_many_events_and_delay_no_run() -> None:
    deliveries = [RecordingDelivery() for _ in range(3)]
    made = [
        BackgroundExporter(f"played {number}", delivery, Redactor(), gather_seconds=0.0, urgent_size=1)
        for number, delivery in enumerate(deliveries)
    ]
    telemetry = Telemetry(made)
    telemetry.start()
    for delivery in deliveries:
        delivery.gate.clear()
    telemetry.run_finished(runs.finished())
    await until(lambda: all(delivery.delivering.is_set() for delivery in deliveries))
    run = runs.finished()
    for _ in range(EVENT_QUEUE_CAPACITY + 2_000):  # one that waited would wait until its delivery gives up
        telemetry.run_finished(run)
    assert [each["dropped"] for each in telemetry.health()] == [2_000] * 3
    for delivery in deliveries:
        delivery.gate.set()
    await telemetry.aclose(5)
    assert all(len(delivery.events) >= EVENT_QUEUE_CAPACITY for delivery in deliveries)
