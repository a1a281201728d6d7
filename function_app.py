"""Entry point of the Functions host. Every function is one call into the program, which the first call opens.

Route matching: the host tries HTTP functions in alphabetical order of their names and uses the first whose route and
method match. A GET below health/ matches `health` and `read`, one below ping/ `heartbeat` and `read`; the anonymous
function comes first. A POST that changes stored jobs matches a function `manage_...` and `operate`; the former comes
first.
"""

import os
from collections.abc import Awaitable, Callable

import azure.functions as func

from scheduler.api.scopes import (
    ANONYMOUS,
    HTTP_FUNCTIONS,
    MANAGE_POST_FUNCTIONS,
    HttpFunction,
    Scope,
    serves_anonymous_functions,
)
from scheduler.crash_traces import enable_crash_traces
from scheduler.dispatch.queue_names import poison_queue_name, run_queue_name_from
from scheduler.hosts.functions import host

Handler = Callable[[func.HttpRequest, func.Context], Awaitable[func.HttpResponse]]

enable_crash_traces()

RUN_QUEUE = run_queue_name_from(os.environ)

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


def http_function(scope: Scope) -> Callable[[Handler], object]:
    """Register the HTTP function of a scope, with its route, its methods and its key."""
    return register(HTTP_FUNCTIONS[scope])


def register(function: HttpFunction) -> Callable[[Handler], object]:
    """Register a function with its route, its methods and its key."""
    level = ANONYMOUS if serves_anonymous_functions(os.environ) else function.auth_level
    route = app.route(route=function.route, methods=function.methods, auth_level=level)
    return lambda handler: app.function_name(function.name)(route(handler))


@app.function_name("tick")
@app.timer_trigger(arg_name="timer", schedule="0 * * * * *", use_monitor=False)
async def tick(timer: func.TimerRequest, context: func.Context) -> None:
    """Plan the next minute and send its tickets to the queue."""
    await host.tick(context)


@app.function_name("work")
@app.queue_trigger(arg_name="message", queue_name=RUN_QUEUE, connection="AzureWebJobsStorage")
async def work(message: func.QueueMessage, context: func.Context) -> None:
    """Perform a batch of tickets, each at its instant."""
    await host.perform_batch(message.get_body(), message.dequeue_count or 1, context, message.insertion_time)


@app.function_name("bury")
@app.queue_trigger(arg_name="message", queue_name=poison_queue_name(RUN_QUEUE), connection="AzureWebJobsStorage")
async def bury(message: func.QueueMessage, context: func.Context) -> None:
    """Store the tickets of a poison message as dead letters."""
    await host.dead_letter_poison(message.get_body(), message.insertion_time, context)


@app.function_name("secrets_changed")
@app.event_grid_trigger(arg_name="event")
async def secrets_changed(event: func.EventGridEvent, context: func.Context) -> None:
    """Process Key Vault events about new versions and expiry, delivered by Event Grid: see docs/deploying.md."""
    await host.secrets_changed(event.event_type, event.get_json(), context)


@http_function(Scope.PUBLIC)
async def health(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Serve health, liveness and readiness to probes without a key."""
    return await host.handle_http(req, context)


@http_function(Scope.PING)
async def heartbeat(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Accept pings of other programs: the token in the address is their key."""
    return await host.handle_http(req, context)


@http_function(Scope.MANAGE)
async def manage(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Serve requests that delete or change data, with a separate key."""
    return await host.handle_http(req, context)


async def change_jobs(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Serve POST requests that change stored jobs, with separate keys."""
    return await host.handle_http(req, context)


for each in MANAGE_POST_FUNCTIONS:
    register(each)(change_jobs)


@http_function(Scope.METRICS)
async def metrics(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Serve the page of metrics to Prometheus, with a separate key."""
    return await host.handle_http(req, context)


@http_function(Scope.OPERATE)
async def operate(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Serve actions on jobs, runs and dead letters, all of them POST, with a separate key."""
    return await host.handle_http(req, context)


@http_function(Scope.READ)
async def read(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Serve every request that only reads, including the dashboard."""
    return await host.handle_http(req, context)
