"""How much a test may compute: seconds of CPU, which do not grow when other programs keep the machine busy.

with computes_below(0.5):
    schedule.next_after(NOON)
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def computes_below(seconds: float) -> Iterator[None]:
    """Raises AssertionError when the block made this process compute for longer, all its threads together.

    Without the collection of garbage, which visits the objects of all tests before.
    """
    gc.disable()
    try:
        began = time.process_time()
        yield
        took = time.process_time() - began
    finally:
        gc.enable()
    assert took < seconds, f"computed for {took:.3f} s, at most {seconds} s are allowed"
