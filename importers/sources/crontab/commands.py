"""The request of a command of curl or wget. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote_plus, urlsplit

from importers.source_tree import NotCarriedOver
from importers.sources.crontab.requests import (
    CommandOption,
    CommandRequest,
    complete_url,
    flag,
    ignore,
    parse_options,
    read_number,
    refuse,
    take,
)
from importers.sources.crontab.shell import ShellCommand

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


def parse_curl(words: list[str]) -> CommandRequest:
    """Return the request of the words after `curl`. Raises NotCarriedOver."""
    request = parse_options(words, _CURL_OPTIONS, CommandRequest())
    if request.sends_data_as_query:
        request.query += request.data
        request.data = []
    if request.data and request.method is None:
        request.method = "POST"
    return request


def _add_data(request: CommandRequest, value: str) -> None:
    if value.startswith("@"):
        if value != "@-":
            raise NotCarriedOver("it sends the content of a file")
        request.reads_input = True
        value = ""
    request.data.append(value)
    request.content_type = request.content_type or _FORM


def _add_raw_data(request: CommandRequest, value: str) -> None:
    request.data.append(value)
    request.content_type = request.content_type or _FORM


def _add_encoded_data(request: CommandRequest, value: str) -> None:
    name, equals, content = value.partition("=")
    if "@" in name or (not equals and "@" in value):
        raise NotCarriedOver("it sends the content of a file")
    _add_raw_data(request, f"{name}={quote_plus(content)}" if equals and name else quote_plus(content or value))


def _add_json(request: CommandRequest, value: str) -> None:
    request.content_type = _JSON
    if not any(name.lower() == "accept" for name, _ in request.headers):
        request.headers.append(("Accept", _JSON))
    _add_data(request, value)


def _add_curl_header(request: CommandRequest, value: str) -> None:
    if value.startswith("@"):
        raise NotCarriedOver("it reads headers from a file")
    name, colon, content = value.partition(":")
    if colon and content.strip():
        request.headers.append((name.strip(), content.strip()))
    elif value.endswith(";"):
        request.headers.append((value[:-1].strip(), ""))
    else:
        request.notes.append(f"the default header {name.strip()} is not suppressed")


def _set_user(request: CommandRequest, value: str) -> None:
    request.username, _, request.password = value.partition(":")


def _set_redirects(request: CommandRequest, value: str) -> None:
    number = int(read_number(value.removeprefix("-"))) if value != "-1" else 30
    request.redirects = min(number, 30) if request.redirects else 0
    request.notes.append(f"at most {min(number, 30)} redirects")


def _follow(request: CommandRequest) -> None:
    request.redirects = request.redirects or 30


def _set(name: str, value: object) -> CommandOption:
    return flag(lambda request: setattr(request, name, value))


def _take(name: str) -> CommandOption:
    return take(lambda request, value: setattr(request, name, value))


def _take_number(name: str) -> CommandOption:
    return take(lambda request, value: setattr(request, name, read_number(value)))


def _add_cookie(request: CommandRequest, value: str) -> None:
    if "=" not in value:
        raise NotCarriedOver("it reads cookies from a file")
    request.headers.append(("Cookie", value))


def _add_range(request: CommandRequest, value: str) -> None:
    request.headers.append(("Range", f"bytes={value}"))


_CERTIFICATE = "put the client certificate into a secret for tls.client_certificate"
_AUTHENTICATION = "this authentication is not known"
_SILENT_IN_CURL = re.findall(
    r"\S+",
    """
    --silent --show-error --verbose --include --no-buffer --progress-bar --no-progress-meter --fail-early --globoff
    --compressed --tcp-nodelay --keepalive --styled-output --remote-time --create-dirs --parallel --no-clobber
    --remote-name --remote-header-name --http1.1 --http1.0 --ipv4-mapped --tcp-fastopen --location-trusted
    --sessionid --retry-all-errors --retry-connrefused --remote-name-all --disable --no-sessionid --no-keepalive
    --http0.9 --alpn --tlsv1 --tlsv1.2 --tlsv1.3 --anyauth-none --basic --raw --tr-encoding
    --suppress-connect-headers
    """,
)
_SILENT_WITH_VALUE = re.findall(
    r"\S+",
    """
    --output --write-out --stderr --trace --trace-ascii --dump-header --cookie-jar --retry-max-time --limit-rate
    --speed-limit --speed-time --keepalive-time --output-dir --max-filesize --rate --parallel-max --connect-timeout
    --tls-max --ciphers --happy-eyeballs-timeout-ms --expect100-timeout --etag-save --libcurl
    """,
)

_CURL_OPTIONS: dict[str, CommandOption] = {
    **{name: ignore() for name in _SILENT_IN_CURL},
    **{f"-{letter}": ignore() for letter in "sSviN#OJgR01qZ"},
    **{name: ignore(True) for name in _SILENT_WITH_VALUE},
    **{f"-{letter}": ignore(True) for letter in "owDcyY"},
    **dict.fromkeys(("-f", "--fail", "--fail-with-body"), _set("fails_on_status", True)),
    **dict.fromkeys(("-X", "--request"), take(lambda request, value: setattr(request, "method", value.upper()))),
    **dict.fromkeys(("-H", "--header"), take(_add_curl_header)),
    **dict.fromkeys(("-d", "--data", "--data-ascii", "--data-binary"), take(_add_data)),
    "--data-raw": take(_add_raw_data),
    "--data-urlencode": take(_add_encoded_data),
    "--json": take(_add_json),
    **dict.fromkeys(("-G", "--get"), _set("sends_data_as_query", True)),
    "--url-query": take(lambda request, value: request.query.append(value)),
    **dict.fromkeys(("-I", "--head"), _set("method", "HEAD")),
    **dict.fromkeys(("-u", "--user"), take(_set_user)),
    "--oauth2-bearer": _take("bearer"),
    **dict.fromkeys(("-A", "--user-agent"), take(lambda request, value: request.headers.append(("User-Agent", value)))),
    **dict.fromkeys(("-e", "--referer"), take(lambda request, value: request.headers.append(("Referer", value)))),
    **dict.fromkeys(("-b", "--cookie"), take(_add_cookie)),
    **dict.fromkeys(("-m", "--max-time"), _take_number("timeout")),
    "--retry": take(lambda request, value: setattr(request, "retries", int(read_number(value)))),
    "--retry-delay": _take_number("retry_delay"),
    **dict.fromkeys(("-L", "--location"), flag(_follow)),
    "--max-redirs": take(_set_redirects),
    **dict.fromkeys(("-k", "--insecure"), _set("verifies", False)),
    "--cacert": _take("ca_file"),
    **dict.fromkeys(("-x", "--proxy"), _take("proxy")),
    **dict.fromkeys(("-U", "--proxy-user"), _take("proxy_user")),
    **dict.fromkeys(("-4", "--ipv4"), _set("ip_version", 4)),
    **dict.fromkeys(("-6", "--ipv6"), _set("ip_version", 6)),
    **dict.fromkeys(("--http2", "--http2-prior-knowledge"), _set("http2", True)),
    "--url": take(lambda request, value: request.urls.append(value)),
    **dict.fromkeys(("-F", "--form", "--form-string"), refuse("a multipart form cannot be sent")),
    **dict.fromkeys(("-T", "--upload-file"), refuse("a file cannot be sent")),
    **dict.fromkeys(("-K", "--config"), refuse("its options are in another file")),
    **dict.fromkeys(("-n", "--netrc", "--netrc-optional"), refuse("its password is in another file", False)),
    "--netrc-file": refuse("its password is in another file"),
    **dict.fromkeys(("-E", "--cert", "--key"), refuse(_CERTIFICATE)),
    "--resolve": refuse("the address of a name cannot be set; use server_name and a Host header"),
    "--connect-to": refuse("the address of a name cannot be set; use server_name and a Host header"),
    "--unix-socket": refuse("a Unix socket cannot be checked"),
    "--interface": refuse("the network interface cannot be chosen"),
    **dict.fromkeys(("--digest", "--ntlm", "--negotiate", "--anyauth"), refuse(_AUTHENTICATION, False)),
    "--aws-sigv4": refuse("requests cannot be signed"),
    "--http3": refuse("HTTP/3 is not supported", False),
    **dict.fromkeys(
        ("-r", "--range"), take(lambda request, value: request.headers.append(("Range", f"bytes={value}")))
    ),
}


_MAX_REDIRECTS = 20
_MAX_TRIES = 20
"""Both are the defaults of Wget."""


def parse_wget(words: list[str]) -> CommandRequest:
    """Return the request of the words after `wget`. Raises NotCarriedOver."""
    start = CommandRequest(redirects=_MAX_REDIRECTS, retries=_MAX_TRIES - 1, fails_on_status=True)
    return parse_options(words, _WGET_OPTIONS, start)


def _set_tries(request: CommandRequest, value: str) -> None:
    tries = 0 if value == "inf" else int(read_number(value))
    request.retries = tries - 1 if tries else _MAX_TRIES


def _set_post(request: CommandRequest, value: str) -> None:
    request.method = request.method or "POST"
    request.data.append(value)
    request.content_type = "application/x-www-form-urlencoded"


def _add_wget_header(request: CommandRequest, value: str) -> None:
    name, _, content = value.partition(":")
    request.headers.append((name.strip(), content.strip()))


_SILENT_IN_WGET = re.findall(
    r"\S+",
    """
    --quiet --verbose --no-verbose --server-response --continue --timestamping --no-clobber --content-disposition
    --no-cookies --no-cache --no-dns-cache --no-hsts --no-proxy --show-progress --no-config --background
    --retry-connrefused
    """,
)
_HEAD = flag(lambda request: setattr(request, "method", "HEAD"))

_WGET_OPTIONS: dict[str, CommandOption] = {
    **{f"-{letter}": ignore() for letter in "qvcSNxdb"},
    **{name: ignore() for name in _SILENT_IN_WGET},
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
    "--header": take(_add_wget_header),
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
