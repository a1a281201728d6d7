"""The API while the program cannot be opened. Used by triggers."""

from __future__ import annotations

from starlette.applications import Starlette

from config.errors import ConfigurationError
from scheduler.api.unavailable_app import create_unavailable_api
from scheduler.dispatch.port import DispatchError
from scheduler.stores.port import StoreError


def unavailable_api(error: Exception, *, is_public: bool) -> Starlette:
    """Return an app that answers every request with 503. `error`: why the program did not open.

    The response contains the cause, unless anyone can send requests (`is_public`).
    """
    match error:
        case ConfigurationError(problems=problems):
            number = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
            detail = f"The configuration has {number}, so nothing runs. After they are fixed, the app starts by itself."
            return create_unavailable_api(detail, problems, is_public=is_public)
        case StoreError() | DispatchError():
            return create_unavailable_api(str(error), is_public=is_public)
        case _:
            return create_unavailable_api(
                "The scheduler could not start; the log has the details.", is_public=is_public
            )
