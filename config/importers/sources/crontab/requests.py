"""The request that a command of curl or wget sends, and its options as a table. Used by curl, wget and mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from config.importers.errors import NotCarriedOver


@dataclass(slots=True)
class CommandRequest:
    """What a command line sends. Times in seconds; None: not given."""

    urls: list[str] = field(default_factory=list)
    method: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    content_type: str = ""
    query: list[str] = field(default_factory=list)
    username: str | None = None
    password: str | None = None
    bearer: str | None = None
    timeout: float | None = None
    retries: int = 0
    retry_delay: float | None = None
    redirects: int = 0
    verifies: bool = True
    ca_file: str | None = None
    proxy: str | None = None
    proxy_user: str | None = None
    ip_version: int | None = None
    http2: bool = False
    fails_on_status: bool = False
    sends_data_as_query: bool = False
    reads_input: bool = False
    """Whether the body is the input of the line (after `%`)."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CommandOption:
    """An option: what it sets (None: nothing that matters), or why it has no equivalent."""

    apply: Callable[[CommandRequest, str], None] | None = None
    has_value: bool = False
    refusal: str = ""


def ignore(has_value: bool = False) -> CommandOption:
    """Return an option that changes only what is printed or stored."""
    return CommandOption(None, has_value)


def refuse(reason: str, has_value: bool = True) -> CommandOption:
    """Return an option without which the request would be another one."""
    return CommandOption(None, has_value, reason)


def take(apply: Callable[[CommandRequest, str], None]) -> CommandOption:
    """Return an option with a value."""
    return CommandOption(apply, has_value=True)


def flag(apply: Callable[[CommandRequest], None]) -> CommandOption:
    """Return an option without a value."""
    return CommandOption(lambda request, _: apply(request))


def parse_options(words: list[str], options: Mapping[str, CommandOption], request: CommandRequest) -> CommandRequest:
    """Apply all words after the program to the request. Raises NotCarriedOver: an option has no equivalent."""
    rest = iter(words)
    only_urls = False
    for word in rest:
        if only_urls or not word.startswith("-") or word == "-":
            request.urls.append(word)
        elif word == "--":
            only_urls = True
        elif word.startswith("--"):
            _apply_long(word, rest, options, request)
        else:
            _apply_letters(word[1:], rest, options, request)
    return request


def _apply_long(word: str, rest: Iterator[str], options: Mapping[str, CommandOption], request: CommandRequest) -> None:
    name, equals, value = word.partition("=")
    option = options.get(name)
    if option is None and name.startswith("--no-") and options.get(f"--{name[5:]}") in (ignore(), ignore(True)):
        return
    _apply(name, option, value if equals else None, rest, request)


def _apply_letters(
    letters: str, rest: Iterator[str], options: Mapping[str, CommandOption], request: CommandRequest
) -> None:
    """Apply `-sSfm10`: several letters, of which the last can have a value."""
    for at, letter in enumerate(letters):
        option = options.get(f"-{letter}")
        if option is not None and option.has_value:
            attached = letters[at + 1 :].removeprefix("=")
            _apply(f"-{letter}", option, attached or None, rest, request)
            return
        _apply(f"-{letter}", option, None, rest, request)


def _apply(
    name: str, option: CommandOption | None, value: str | None, rest: Iterator[str], request: CommandRequest
) -> None:
    if option is None:
        raise NotCarriedOver(f"the option {name} is not known")
    if option.has_value and value is None:
        value = next(rest, None)
        if value is None:
            raise NotCarriedOver(f"the option {name} has no value")
    if option.refusal:
        raise NotCarriedOver(f"{name}: {option.refusal}")
    if option.apply is not None:
        option.apply(request, value or "")


def read_number(text: str) -> float:
    """Return the number of an option. Raises NotCarriedOver."""
    try:
        number = float(text)
    except ValueError:
        raise NotCarriedOver(f"expected a number, found {text[:20]!r}") from None
    if not 0 <= number < 1e6:
        raise NotCarriedOver(f"expected a number from 0 to 1000000, found {text[:20]!r}")
    return number
