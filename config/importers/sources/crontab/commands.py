"""The request of a command of curl or wget. Called by mapping and pings. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from config.importers.errors import NotCarriedOver
from config.importers.sources.crontab.curl import parse_curl
from config.importers.sources.crontab.putting import complete_url
from config.importers.sources.crontab.requests import CommandRequest
from config.importers.sources.crontab.shell import ShellCommand
from config.importers.sources.crontab.wget import parse_wget

_PROGRAMS = {"curl": parse_curl, "wget": parse_wget}


def read_request(command: ShellCommand) -> CommandRequest:
    """Return the one request that a command sends. Raises NotCarriedOver."""
    parse = _PROGRAMS.get(command.program)
    if parse is None:
        raise NotCarriedOver("programs are not started: it is neither curl nor wget")
    request = parse(command.words[1:])
    if len(request.urls) != 1:
        raise NotCarriedOver(f"a job sends one request, the command has {len(request.urls)} URLs", "kind: steps")
    return request


def make_name(request: CommandRequest) -> str:
    """Return what the job of a request is named after."""
    try:
        parts = urlsplit(complete_url(request.urls[0]))
        return f"{parts.hostname or ''} {parts.path}".strip(" /")
    except ValueError:
        return "request"
