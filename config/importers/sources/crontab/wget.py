"""Options of GNU Wget as a request (1.2x). Called by mapping. Pure."""

from __future__ import annotations

import re

from config.importers.sources.crontab.requests import (
    CommandOption,
    CommandRequest,
    flag,
    ignore,
    parse_options,
    read_number,
    refuse,
    take,
)

_MAX_REDIRECTS = 20
_MAX_TRIES = 20
"""Both are the defaults of Wget."""


def parse_wget(words: list[str]) -> CommandRequest:
    """Return the request of the words after `wget`. Raises NotCarriedOver."""
    start = CommandRequest(redirects=_MAX_REDIRECTS, retries=_MAX_TRIES - 1, fails_on_status=True)
    return parse_options(words, _OPTIONS, start)


def _set_tries(request: CommandRequest, value: str) -> None:
    tries = 0 if value == "inf" else int(read_number(value))
    request.retries = tries - 1 if tries else _MAX_TRIES


def _set_post(request: CommandRequest, value: str) -> None:
    request.method = request.method or "POST"
    request.data.append(value)
    request.content_type = "application/x-www-form-urlencoded"


def _add_header(request: CommandRequest, value: str) -> None:
    name, _, content = value.partition(":")
    request.headers.append((name.strip(), content.strip()))


def _take(name: str) -> CommandOption:
    return take(lambda request, value: setattr(request, name, value))


_SILENT = re.findall(
    r"\S+",
    """
    --quiet --verbose --no-verbose --server-response --continue --timestamping --no-clobber --content-disposition
    --no-cookies --no-cache --no-dns-cache --no-hsts --no-proxy --show-progress --no-config --background
    --retry-connrefused
    """,
)
_HEAD = flag(lambda request: setattr(request, "method", "HEAD"))

_OPTIONS: dict[str, CommandOption] = {
    **{f"-{letter}": ignore() for letter in "qvcSNxdb"},
    **{name: ignore() for name in _SILENT},
    "-n": ignore(True),  # -nv, -nc and -nd
    **dict.fromkeys(("-O", "--output-document", "-o", "--output-file", "-a", "--append-output"), ignore(True)),
    **dict.fromkeys(("-P", "--directory-prefix", "--progress", "-w", "--wait", "--waitretry"), ignore(True)),
    **dict.fromkeys(("--connect-timeout", "--dns-timeout", "--limit-rate", "--secure-protocol"), ignore(True)),
    "--spider": _HEAD,
    **dict.fromkeys(
        ("-T", "--timeout", "--read-timeout"),
        take(lambda request, value: setattr(request, "timeout", read_number(value) or None)),
    ),
    **dict.fromkeys(("-t", "--tries"), take(_set_tries)),
    "--header": take(_add_header),
    "--post-data": take(_set_post),
    "--body-data": take(lambda request, value: request.data.append(value)),
    "--method": take(lambda request, value: setattr(request, "method", value.upper())),
    **dict.fromkeys(("--user", "--http-user"), _take("username")),
    **dict.fromkeys(("--password", "--http-password"), _take("password")),
    "--auth-no-challenge": ignore(),
    "--no-check-certificate": flag(lambda request: setattr(request, "verifies", False)),
    "--ca-certificate": take(lambda request, value: setattr(request, "ca_file", value)),
    **dict.fromkeys(("-U", "--user-agent"), take(lambda request, value: request.headers.append(("User-Agent", value)))),
    "--referer": take(lambda request, value: request.headers.append(("Referer", value))),
    "--max-redirect": take(lambda request, value: setattr(request, "redirects", min(int(read_number(value)), 30))),
    **dict.fromkeys(("-4", "--inet4-only"), flag(lambda request: setattr(request, "ip_version", 4))),
    **dict.fromkeys(("-6", "--inet6-only"), flag(lambda request: setattr(request, "ip_version", 6))),
    **dict.fromkeys(("-i", "--input-file"), refuse("its URLs are in another file")),
    **dict.fromkeys(("--post-file", "--body-file"), refuse("a file cannot be sent")),
    **dict.fromkeys(("--certificate", "--private-key"), refuse("put the client certificate into a secret")),
    **dict.fromkeys(("-r", "--recursive", "-m", "--mirror", "--page-requisites"), refuse("it copies a site", False)),
}
