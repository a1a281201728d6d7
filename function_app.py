"""The Functions host's entry: every function is one call into the program, which opens itself at the first one.

Route matching: the host tries HTTP functions by name, alphabetically, and takes the first whose route and method fit:
health, heartbeat, manage, operate, read. A GET below health/ fits `health` and `read`, one below ping/ `heartbeat` and
`read`; the anonymous one comes first.
"""

import os
from collections.abc import Awaitable, Callable

import azure.functions as func

from scheduler.api.scopes import HTTP_FUNCTIONS, Scope
from scheduler.dispatch.queue_names import poison_queue_name, run_queue_name_from
from scheduler.hosts.functions import host

Handler = Callable[[func.HttpRequest, func.Context], Awaitable[func.HttpResponse]]

RUN_QUEUE = run_queue_name_from(os.environ)

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


def http_function(scope: Scope) -> Callable[[Handler], object]:
    """Register the HTTP function of a scope, with its route, its methods and its key."""
    function = HTTP_FUNCTIONS[scope]
    route = app.route(route=function.route, methods=function.methods, auth_level=function.auth_level)
    return lambda handler: app.function_name(function.name)(route(handler))


@app.function_name("tick")
@app.timer_trigger(arg_name="timer", schedule="0 * * * * *", use_monitor=False)
async def tick(timer: func.TimerRequest, context: func.Context) -> None:
    """Plan the next minute and put its tickets on the queue."""
    await host.tick(context)


@app.function_name("work")
@app.queue_trigger(arg_name="message", queue_name=RUN_QUEUE, connection="AzureWebJobsStorage")
async def work(message: func.QueueMessage, context: func.Context) -> None:
    """Run a batch of tickets, each at its instant."""
    await host.perform_batch(message.get_body(), message.dequeue_count or 1, context)


@app.function_name("bury")
@app.queue_trigger(arg_name="message", queue_name=poison_queue_name(RUN_QUEUE), connection="AzureWebJobsStorage")
async def bury(message: func.QueueMessage, context: func.Context) -> None:
    """Keep what was given up as dead letters."""
    await host.dead_letter_poison(message.get_body(), message.insertion_time, context)


@app.function_name("secrets_changed")
@app.event_grid_trigger(arg_name="event")
async def secrets_changed(event: func.EventGridEvent, context: func.Context) -> None:
    """Hear of a vault's new versions and dates of expiry; subscribed to by Event Grid, see docs/deploying.md."""
    await host.secrets_changed(event.event_type, event.get_json(), context)


@http_function(Scope.PUBLIC)
async def health(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Health, live and ready, for probes without a key."""
    return await host.handle_http(req, context)


@http_function(Scope.PING)
async def heartbeat(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Pings of programs elsewhere: the token in the address is their key."""
    return await host.handle_http(req, context)


@http_function(Scope.MANAGE)
async def manage(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Changes of definitions: a key of its own."""
    return await host.handle_http(req, context)


@http_function(Scope.OPERATE)
async def operate(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Actions on jobs, runs and dead letters, all of them POST: a key of its own."""
    return await host.handle_http(req, context)


@http_function(Scope.READ)
async def read(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Everything that only reads, the dashboard too."""
    return await host.handle_http(req, context)
