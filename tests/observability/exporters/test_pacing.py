"""Exporters pause between slices of their work, unless it is urgent."""

from __future__ import annotations

import json
import threading

from observability.exporters.background import PAUSE_S, WORK_SLICE_S, Pace, encode_list


class Worker:
    """A thread's processor time, which a test sets, and the pauses that were made."""

    def __init__(self, *, is_urgent: bool = False) -> None:
        self.worked = 10.0
        self.pauses: list[float] = []
        self.pace = Pace(lambda: is_urgent, worked=lambda: self.worked, sleep=self.pauses.append)

    def work(self, seconds: float) -> None:
        self.worked += seconds
        self.pace.pause()


def test_a_thread_pauses_after_each_slice_of_work() -> None:
    worker = Worker()
    worker.pace.pause()
    for _ in range(8):
        worker.work(WORK_SLICE_S * 0.6)
    assert worker.pauses == [PAUSE_S] * 4


def test_a_thread_that_mostly_waits_does_not_pause() -> None:
    worker = Worker()
    worker.pace.pause()
    worker.work(WORK_SLICE_S / 10)
    assert worker.pauses == []


def test_urgent_work_is_not_delayed() -> None:
    worker = Worker(is_urgent=True)
    worker.pace.pause()
    worker.work(60)
    assert worker.pauses == []


def test_each_thread_has_its_own_slice() -> None:
    worker = Worker()
    worker.pace.pause()
    other = threading.Thread(target=worker.work, args=(60,))
    other.start()
    other.join()
    assert worker.pauses == []


def test_items_are_yielded_in_order_with_pauses_between_them() -> None:
    worker = Worker()
    given = []
    for item in worker.pace.spread(range(4)):
        given.append(item)
        worker.worked += 2 * WORK_SLICE_S
    assert given == [0, 1, 2, 3]
    assert worker.pauses == [PAUSE_S] * 3


def test_a_list_is_encoded_as_a_whole_one_is() -> None:
    items = [{"a": 1}, {"b": ["é", None]}, 3]
    assert json.loads(encode_list(items, Pace())) == items
    assert encode_list([], Pace()) == b"[]"
