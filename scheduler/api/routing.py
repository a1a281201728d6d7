"""What routes are made of: a router whose routes declare their scope and body, shared dependencies and parameters, and
responses with a long list.

The dependencies are the services, the caller and the check for unknown query parameters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import Annotated, Any, Final, TypeVar, get_origin

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic_core import to_json
from starlette.routing import BaseRoute, Match
from starlette.types import Scope as RequestScope

from jobs.definition import NAME_PATTERN
from jobs.formats import format_duration, parse_duration
from jobs.problems import describe_unknown_key, describe_wrong_choice, make_printable
from scheduler.api.declared_routes import JSON_TYPE, MAX_BODY_BYTES, BodyRule, DeclaredRoute
from scheduler.api.middleware.requests import find_client_address
from scheduler.api.problems import InvalidInput, InvalidRequest
from scheduler.api.scopes import Scope
from scheduler.catalog.limited import LimitedCatalog
from scheduler.identity.principal import Caller, ChangeSource, Principal
from scheduler.model_base import ResponseModel
from scheduler.services import Services
from scheduler.stores.runs.repository import RUN_FILTERS
from scheduler.turns import convert_each

POLL_RETRY_AFTER = "1"
"""Seconds after which to poll a run that was started."""

MAX_WAIT = 200.0
"""Seconds. The front end of Azure Functions cancels a request after 230."""

_MAX_WAIT_TEXT = format_duration(MAX_WAIT)
_SECONDS_PATTERN = r"(?:[01]?[0-9]{1,5}|200000)ms|(?:[01]?[0-9]{1,2}(?:\.[0-9]+)?|200)s"
_MINUTES_PATTERN = "[0-2]m(?:[0-5]?[0-9]s)?|3m(?:1?[0-9]s|20s)?"
WAIT_PATTERN = f"^(?:{_SECONDS_PATTERN}|{_MINUTES_PATTERN})$"
"""Pattern of a duration up to MAX_WAIT for the schema: the usual forms of what jobs.formats parses."""

FUNCTION_KEY = "code"
"""Query parameter with the key of the Functions host, which passes it to the app."""


async def get_services(request: Request) -> Services:
    """Return the services. For a caller that is limited to tags, no other job exists in them.

    They know the stored jobs as other processes have changed them.
    """
    services: Services = request.app.state.services
    await services.refresh_jobs()
    principal: Principal | None = request.scope["state"].get("principal")
    return services if principal is None else await _limit_services(services, principal)


async def reload_services(request: Request) -> Services:
    """Return the services after the request has changed stored jobs.

    For a caller that is limited to tags, those of `get_services` have the jobs from before.
    """
    services: Services = request.app.state.services
    return await _limit_services(services, request.scope["state"]["principal"])


async def _limit_services(services: Services, principal: Principal) -> Services:
    limited = services.for_principal(principal)
    if isinstance(limited.catalog, LimitedCatalog) and not limited.catalog.has_past:
        limited.catalog.visible_since = await services.stored_jobs.visible_since.read(principal)
        limited.catalog.has_past = True
    return limited


async def get_caller(request: Request) -> Caller:
    """Return who sent the request, as scheduler.api.access has found out."""
    return create_caller(request, request.scope["state"]["principal"])


def create_caller(request: Request, principal: Principal) -> Caller:
    """Return the caller of a request that this principal has sent."""
    request_id = request.scope["state"].get("request_id", "")
    return Caller(principal, ChangeSource.API, find_client_address(request.scope), request_id)


async def reject_unknown_query(request: Request) -> None:
    """Reject unknown query parameters: an ignored misspelt filter would give wrong results."""
    if not request.scope["query_string"]:
        return
    route = request.scope["route"]
    parameters = _list_query_parameters(route.dependant) if isinstance(route, APIRoute) else []
    names = [parameter.alias for parameter in parameters]
    given = Counter(name for name, _ in request.query_params.multi_items() if name != FUNCTION_KEY)
    if given.total() == len(given) and given.keys() <= {*names}:
        return
    lists = {parameter.alias for parameter in parameters if get_origin(parameter.field_info.annotation) is list}
    errors = [
        *_unknown_parameters(given, names),
        *(_repeated_parameter(name) for name in names if given[name] > 1 and name not in lists),
    ]
    if errors:
        raise InvalidRequest(*errors)


def _list_query_parameters(dependant: Dependant) -> list[Any]:
    """Return the query parameters of a route and of its dependencies."""
    inherited = (each for inner in dependant.dependencies for each in _list_query_parameters(inner))
    return [*dependant.query_params, *inherited]


def _unknown_parameters(given: Iterable[str], names: list[str]) -> Iterable[InvalidInput]:
    for name in given:
        if name not in names:
            message, hint = describe_unknown_key(name, names, noun="parameter")
            yield InvalidInput(location=f"query.{make_printable(name)}", message=message, hint=hint or None)


def _repeated_parameter(name: str) -> InvalidInput:
    return InvalidInput(location=f"query.{name}", message="the parameter is given more than once")


def parse_wait(wait: str | None) -> float:
    """Return the parameter `wait` in seconds; 0 without it. Raises InvalidRequest."""
    if wait is None:
        return 0.0
    try:
        if not wait.isascii():
            raise ValueError(f"{wait!r} is not a duration: use ASCII, for example 10s")
        seconds = parse_duration(wait)
    except ValueError as error:
        raise InvalidRequest(InvalidInput(location="query.wait", message=make_printable(str(error), 200))) from None
    if seconds > MAX_WAIT:
        message = f"{make_printable(wait)} exceeds the maximum of {_MAX_WAIT_TEXT}"
        raise InvalidRequest(
            InvalidInput(location="query.wait", message=message, hint="use a shorter wait, then poll the run by its id")
        )
    return seconds


def parse_outcome(outcome: str | None) -> str | None:
    """Return the parameter `outcome`. Raises InvalidRequest."""
    return None if outcome is None else parse_choice("outcome", outcome, RUN_FILTERS)


def parse_choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return the value of a query parameter, which is one of the allowed ones. Raises InvalidRequest."""
    if value not in allowed:
        message, hint = describe_wrong_choice(value, tuple(allowed))
        raise InvalidRequest(InvalidInput(location=f"query.{name}", message=message, hint=hint))
    return value


ServicesDep = Annotated[Services, Depends(get_services)]
CallerDep = Annotated[Caller, Depends(get_caller)]
Limit = Annotated[int, Query(ge=1, le=500, description="Maximum number of items")]
Continuation = Annotated[
    str | None, Query(max_length=500, description="The `continuation` of the previous page, unchanged")
]
JobName = Annotated[str, Path(description="The job's name", examples=["checkout-api"])]
RunId = Annotated[
    str, Path(max_length=200, description="The run's id, `job@instant`", examples=["checkout-api@20261128T090000.000Z"])
]
JobParameter = Annotated[str | None, Query(pattern=NAME_PATTERN, description="Only items of this job")]
OutcomeParameter = Annotated[
    str | None, Query(description="Only runs with this outcome or state", json_schema_extra={"enum": list(RUN_FILTERS)})
]
Wait = Annotated[
    str | None,
    Query(
        description=f"Wait up to this time for the run to finish, for example 10s; at most {_MAX_WAIT_TEXT}",
        examples=["10s"],
        json_schema_extra={"type": ["string", "null"], "pattern": WAIT_PATTERN},
    ),
]


Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

SCOPE: Final = "x-scope"
PROBLEMS: Final = "x-problems"
"""Members of an operation: its scope, and the problems that the route adds to those of its kind."""


class ApiRouter(APIRouter):
    """Adds a route with its scope: `@router.read("/api/jobs")`. OpenAPI publishes the scope as `x-scope`.

    The name of the function is the operationId. Options in addition to FastAPI's: `accepts`, the media types of the
    body (default: JSON); `max_body`, its largest size in bytes (default: 64 KiB); `problems`, statuses that only this
    route knows, mostly 409. Others follow from its kind, see scheduler.api.description.document.

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
        self._unbuilt: list[Callable[[], None]] = []
        self._building = Lock()
        self._by_tag = by_tag
        self._starts: tuple[str, ...] = ()
        """The start of each declared path, up to its first parameter."""

    def matches(self, scope: RequestScope) -> tuple[Match, RequestScope]:
        """Exclude by its start a path that no route here has: FastAPI matches each request with each router."""
        return super().matches(scope) if self.find_candidates(scope) else (Match.NONE, {})

    def find_candidates(self, scope: RequestScope) -> Sequence[BaseRoute]:
        """Return the routes, one of which may serve the request; none if no path starts as that of the request."""
        if not scope.get("root_path") and not scope.get("path", "").startswith(self._starts):
            return ()
        return self.build_routes()

    def build_routes(self) -> Sequence[BaseRoute]:
        """Return the routes. The first call lets FastAPI analyse them, which takes 2 ms for each: at the first request
        for one of them, or for the document, instead of at the start of the program.
        """
        if self._unbuilt:
            with self._building:
                while self._unbuilt:
                    self._unbuilt[0]()
                    del self._unbuilt[0]
        return self.routes

    def public(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Add a GET that requires no key."""
        return self._declare(Scope.PUBLIC, "GET", path, options)

    def ping(self, method: str, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Add a route that requires the token in its path."""
        return self._declare(Scope.PING, method, path, options)

    def sign_in(self, method: str, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Add a route that needs no caller, because it serves to become one."""
        return self._declare(Scope.SIGN_IN, method, path, options)

    def read(self, path: str, method: str = "GET", **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Add a GET, or a POST that judges its body and changes nothing."""
        return self._declare(Scope.READ, method, path, options)

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
            build = partial(self.add_api_route, path, endpoint, methods=[method], openapi_extra=extra, **options)
            self._unbuilt.append(build)
            return endpoint

        return declare


Item = TypeVar("Item")


async def create_list_response(
    name: str,
    items: Iterable[Item],
    create_model: Callable[[Item], ResponseModel],
    continuation: str | None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return `{"<name>": [...], "continuation": ...}`, as the model of the list would be serialized."""
    parts = await _serialize(items, create_model)
    body = b'{"%s":[%s],"continuation":%s}' % (name.encode(), parts, to_json(continuation))
    return Response(body, media_type="application/json", headers=headers)


async def create_response_with_list(
    start: ResponseModel, items: Iterable[Item], create_model: Callable[[Item], ResponseModel]
) -> Response:
    """Return `start`, whose last field is an empty list, with the items in this list."""
    body = to_json(start, by_alias=True).removesuffix(b"]}") + await _serialize(items, create_model) + b"]}"
    return Response(body, media_type="application/json")


async def _serialize(items: Iterable[Item], create_model: Callable[[Item], ResponseModel]) -> bytes:
    return b",".join(await convert_each(lambda item: to_json(create_model(item), by_alias=True), items))
