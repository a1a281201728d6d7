"""What the garbage collector has to look at while runs go on. Called by the embedded host.

With 10,000 jobs a full collection takes a tenth of a second, in which no run starts, and a sixth of a run's cost is
spent looking at definitions that never go. So what is there once the program is ready is put aside; references alone
still free it.
"""

from __future__ import annotations

import gc

_YOUNG_THRESHOLD = 20_000
"""New objects after which they are looked at. Runs make few cycles: Python's 700 look too often."""


def freeze_long_lived_objects() -> None:
    """Never look again at what is there now. Called once more, it takes what was put aside before into account, too.

    Not after a reload: 10,000 new jobs cost a full collection, of which there are few, 9 ms, and this four times that.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_THRESHOLD, *gc.get_threshold()[1:])
