"""Real parts that tests run against: servers on loopback, storage, the Functions worker, processes.

Each module's docstring gives its use. A part that needs something the machine may lack (Node, Azurite, the worker
package) calls `missing`, which skips the test, or fails it where every part is demanded.
"""

from __future__ import annotations

import os
from typing import NoReturn

REQUIRED = os.environ.get("SCHEDULER_TEST_REQUIRE_PARTS") == "1"
"""Read at import: the tests' environment is cleaned of SCHEDULER_* before each of them."""


def missing(reason: str) -> NoReturn:
    """Skip the test because a part is not to be had, or fail it when SCHEDULER_TEST_REQUIRE_PARTS=1."""
    import pytest  # child processes import this package too, without any need of it

    if REQUIRED:
        pytest.fail(f"SCHEDULER_TEST_REQUIRE_PARTS=1, but {reason}", pytrace=False)
    pytest.skip(reason)
