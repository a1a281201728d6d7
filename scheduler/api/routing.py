"""A router whose routes declare their scope and body. Used by scheduler.api.routes and scheduler.api.dashboard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final, TypeVar

from fastapi import APIRouter, Depends
from starlette.routing import Match
from starlette.types import Scope as RequestScope

from scheduler.api.declared_route import DeclaredRoute
from scheduler.api.dependencies import reject_unknown_query
from scheduler.api.requests.body_rules import JSON_TYPE, MAX_BODY_BYTES, BodyRule
from scheduler.api.scopes import Scope

__all__ = ["ApiRouter", "DeclaredRoute"]

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

SCOPE: Final = "x-scope"
PROBLEMS: Final = "x-problems"
"""Members of an operation: its scope, and the problems that the route adds to those of its kind."""


class ApiRouter(APIRouter):
    """Adds a route with its scope: `@router.read("/api/jobs")`. OpenAPI publishes the scope as `x-scope`.

    The name of the function is the operationId. Options in addition to FastAPI's: `accepts`, the media types of the
    body (default: JSON); `max_body`, its largest size in bytes (default: 64 KiB); `problems`, statuses that only this
    route knows, mostly 409. Others follow from its kind, see scheduler.api.description.problem_responses.

    `by_tag`: see DeclaredRoute; the default of its routes.
    """

    def __init__(
        self, *tags: str, accepts_unknown_query: bool = False, in_schema: bool = True, by_tag: bool = False
    ) -> None:
        super().__init__(
            tags=list(tags),
            dependencies=[] if accepts_unknown_query else [Depends(reject_unknown_query)],
            include_in_schema=in_schema,
        )
        self.declared: list[DeclaredRoute] = []
        self._by_tag = by_tag
        self._starts: tuple[str, ...] = ()
        """The start of each declared path, up to its first parameter."""

    def matches(self, scope: RequestScope) -> tuple[Match, RequestScope]:
        """Exclude by its start a path that no route here has: FastAPI matches each request with each router."""
        if not scope.get("root_path") and not scope.get("path", "").startswith(self._starts):
            return Match.NONE, {}
        return super().matches(scope)

    def public(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Add a GET that requires no key."""
        return self._declare(Scope.PUBLIC, "GET", path, options)

    def ping(self, method: str, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Add a route that requires the token in its path."""
        return self._declare(Scope.PING, method, path, options)

    def sign_in(self, method: str, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Add a route that needs no caller, because it serves to become one."""
        return self._declare(Scope.SIGN_IN, method, path, options)

    def read(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Add a GET."""
        return self._declare(Scope.READ, "GET", path, options)

    def metrics(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Add a GET that a program with access to metrics alone may call."""
        return self._declare(Scope.METRICS, "GET", path, options)

    def operate(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Add a POST that acts on an object."""
        return self._declare(Scope.OPERATE, "POST", path, options)

    def manage(self, path: str, method: str = "DELETE", **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Add a route that changes or deletes a stored object. For a POST see scopes.MANAGE_POST_FUNCTIONS."""
        return self._declare(Scope.MANAGE, method, path, options)

    def _declare(self, scope: Scope, method: str, path: str, options: dict[str, Any]) -> Callable[[Endpoint], Endpoint]:
        body = BodyRule(tuple(options.pop("accepts", (JSON_TYPE,))), options.pop("max_body", MAX_BODY_BYTES))
        self.declared.append(DeclaredRoute(scope, method, path, body, options.pop("by_tag", self._by_tag)))
        self._starts = (*self._starts, path.partition("{")[0])
        problems: Iterable[HTTPStatus] = options.pop("problems", ())
        described: dict[str, Any] = options.pop("openapi_extra", {})
        extra = {SCOPE: scope.value, PROBLEMS: [int(status) for status in problems], **described}

        def declare(endpoint: Endpoint) -> Endpoint:
            options.setdefault("operation_id", endpoint.__name__)
            return self.api_route(path, methods=[method], openapi_extra=extra, **options)(endpoint)

        return declare
