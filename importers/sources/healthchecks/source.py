"""Imports the answer of `GET /api/v3/checks/` of Healthchecks (also v1 and v2) as heartbeats.

The answer of `GET /api/v3/channels/` in a second file adds the names of the integrations to the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from importers.errors import NotCarriedOver, UnreadableSource
from importers.import_context import ImportContext
from importers.job_draft import JobDraft, KeyHandler
from importers.ledger import SourceNode
from importers.source_file import SourceFile
from importers.sources.healthchecks.schedules import convert_schedule
from importers.values.reading import (
    find_text,
    read_boolean,
    read_integer,
    read_optional_text,
    read_text,
    split_tags,
    write_duration,
)
from jobs.targets.heartbeat import SHORTEST_TOKEN

_MAX_DESCRIPTION = 500
_STATE = "a state of the other service: this heartbeat is new until its first ping"
_NO_MAIL = "pings cannot arrive as e-mail"
_NO_KEYWORDS = "the text of a ping is stored, and not searched for keywords"
_USE_ADDRESSES = "let the program request /api/ping/TOKEN, /start, /fail or its exit code, such as /api/ping/TOKEN/1"


def import_check(context: ImportContext, node: SourceNode, channels: Mapping[str, str]) -> None:
    """Add the heartbeat of a check."""
    name = _first_text(node, "name", "slug", "unique_key", "uuid") or "check"
    named = [child for child in (node.child("name"),) if child is not None]
    draft = context.new_job(name, node, *named)
    draft.put("check.kind", "heartbeat")
    _put_token(context, draft, node)
    _put_due_rule(draft, node)
    draft.put("alerts", [{"open_after": 1}])
    draft.map_keys(node, {**CHECK_HANDLERS, "channels": partial(_map_channels, channels)})


def _first_text(node: SourceNode, *keys: str) -> str:
    texts = (child.value for key in keys if (child := node.child(key)) is not None)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _put_token(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    """The secret in the address of pings is the uuid, so that programs only change the host and the path."""
    uuid = node.child("uuid")
    address = node.child("ping_url")
    value = str(uuid.value) if uuid is not None else ""
    if not value and address is not None and isinstance(address.value, str):
        value = address.value.rstrip("/").rpartition("/")[2]
    hint = f"{draft.name}-token"
    if len(value) >= SHORTEST_TOKEN:
        purpose = (
            f"token of the pings of {draft.name}: the uuid of the check, so that only the start of the address changes"
        )
        token = context.secrets.reference(value, hint, purpose, uuid or address)
        draft.put("check.token", token, *([uuid] if uuid is not None else []), how="the uuid becomes a secret")
    else:
        purpose = f"token of the pings of {draft.name}, at least {SHORTEST_TOKEN} characters: openssl rand -hex 16"
        draft.put("check.token", context.secrets.require(hint, purpose))
    if address is not None:
        draft.use(address, how="pings go to /api/ping/TOKEN of this scheduler, with the same endings")


def _put_due_rule(draft: JobDraft, node: SourceNode) -> None:
    timeout, schedule, timezone = node.child("timeout"), node.child("schedule"), node.child("tz")
    if schedule is not None and schedule.value:
        zone = find_text(timezone) or "UTC"
        nodes = [schedule] if timezone is None else [schedule, timezone]
        try:
            converted, how = convert_schedule(read_text(schedule), zone)
        except NotCarriedOver as error:
            draft.drop(schedule, error.why, error.nearest)
        else:
            draft.put("check.schedule", converted, *nodes, how=how)
    elif timeout is not None:
        draft.map_key(timeout, _map_timeout)


def _map_timeout(draft: JobDraft, node: SourceNode) -> None:
    draft.put("check.period", write_duration(read_integer(node)), node)


def _map_grace(draft: JobDraft, node: SourceNode) -> None:
    draft.put("check.grace", write_duration(read_integer(node)), node)


def _map_description(draft: JobDraft, node: SourceNode) -> None:
    text = read_optional_text(node)
    if not text:
        draft.use(node)
    elif len(text) > _MAX_DESCRIPTION:
        shortened = text[: _MAX_DESCRIPTION - 1] + "…"
        draft.put("description", shortened, node, how=f"shortened to {_MAX_DESCRIPTION} characters")
    else:
        draft.put("description", text, node)


def _map_tags(draft: JobDraft, node: SourceNode) -> None:
    tags = split_tags(read_optional_text(node).split())
    if tags:
        draft.put("tags", tags, node, how="a tag without a value has the value true" if "true" in tags.values() else "")
    else:
        draft.use(node)


def _map_slug(draft: JobDraft, node: SourceNode) -> None:
    how = "pings have the token in their address; there is no address with the name of a job"
    draft.use(node, how=how if read_optional_text(node) else "")


def _map_methods(draft: JobDraft, node: SourceNode) -> None:
    if read_optional_text(node):
        raise NotCarriedOver("a ping by GET, HEAD or POST counts", "do not publish the address of pings")
    draft.use(node)


def _map_manual_resume(draft: JobDraft, node: SourceNode) -> None:
    draft.use(node, how="" if read_boolean(node) else "a ping does not end a pause: the command resume does")


def _map_status(draft: JobDraft, node: SourceNode) -> None:
    if read_text(node) == "paused":
        draft.put("enabled", False, node, how="a paused check becomes a disabled job")
    else:
        draft.use(node, how=_STATE)


def _map_state(draft: JobDraft, node: SourceNode) -> None:
    draft.use(node, how=_STATE)


def _map_own_address(draft: JobDraft, node: SourceNode) -> None:
    draft.use(node, how="an address of the other service: GET /api/jobs and the commands pause and resume replace it")


def _refuse_if_set(why: str, nearest: str, draft: JobDraft, node: SourceNode) -> None:
    if node.value:
        raise NotCarriedOver(why, nearest)
    draft.use(node)


def _map_channels(channels: Mapping[str, str], draft: JobDraft, node: SourceNode) -> None:
    text = read_optional_text(node)
    if not text:
        draft.use(node)
        return
    names = ", ".join(channels.get(one.strip(), "of an unknown kind") for one in text.split(","))
    raise NotCarriedOver(
        f"the API does not return the address and the key of an integration: {names}",
        "define alerting.channels, and name them in notify of the rule in alerts",
    )


CHECK_HANDLERS: dict[str, KeyHandler] = {
    "desc": _map_description,
    "tags": _map_tags,
    "slug": _map_slug,
    "grace": _map_grace,
    "methods": _map_methods,
    "manual_resume": _map_manual_resume,
    "status": _map_status,
    "started": _map_state,
    "n_pings": _map_state,
    "last_ping": _map_state,
    "next_ping": _map_state,
    "last_duration": _map_state,
    "unique_key": _map_own_address,
    "badge_url": _map_own_address,
    "update_url": _map_own_address,
    "pause_url": _map_own_address,
    "resume_url": _map_own_address,
    "filter_subject": partial(_refuse_if_set, _NO_MAIL, _USE_ADDRESSES),
    "filter_body": partial(_refuse_if_set, _NO_MAIL, _USE_ADDRESSES),
    "subject": partial(_refuse_if_set, _NO_MAIL, _USE_ADDRESSES),
    "subject_fail": partial(_refuse_if_set, _NO_MAIL, _USE_ADDRESSES),
    "filter_http_body": partial(_refuse_if_set, _NO_KEYWORDS, _USE_ADDRESSES),
    "filter_default_fail": partial(_refuse_if_set, _NO_KEYWORDS, _USE_ADDRESSES),
    "start_kw": partial(_refuse_if_set, _NO_KEYWORDS, _USE_ADDRESSES),
    "success_kw": partial(_refuse_if_set, _NO_KEYWORDS, _USE_ADDRESSES),
    "failure_kw": partial(_refuse_if_set, _NO_KEYWORDS, _USE_ADDRESSES),
}


_HINT = "save the answer of GET /api/v3/checks/ with the key of the project"
_MARKS = frozenset({"ping_url", "unique_key", "n_pings", "grace", "manual_resume"})


def detects(file: SourceFile) -> bool:
    """Return whether the file is an answer with checks."""
    if file.head.lstrip()[:1] not in (b"{", b"["):
        return False
    return any(_is_check(node) for node in _list_checks(file.tree.root))


def import_files(files: Sequence[SourceFile], context: ImportContext) -> None:
    """Add a heartbeat for each check of all files. Raises UnreadableSource."""
    channels: dict[str, str] = {}
    checks: list[SourceNode] = []
    for file in files:
        root = context.add_tree(file.tree)
        found = list(_list_checks(root))
        listed = root.child("channels")
        if listed is not None and not found:
            _read_channels(context, listed, channels)
        elif not found and root.child("checks") is None:
            raise UnreadableSource(file.shown, "has neither checks nor channels", _HINT)
        checks += found
    for node in checks:
        if _is_check(node):
            import_check(context, node, channels)
        else:
            context.drop(node, "is not a check: it has none of the keys of one", _HINT)


def _list_checks(root: SourceNode) -> Iterator[SourceNode]:
    """Yield the checks of an answer: a list, one check, or `checks` of the list's answer."""
    listed = root.child("checks")
    if listed is None:
        listed = root
    if isinstance(listed.value, list):
        yield from listed.children()
    elif _is_check(listed):
        yield listed


def _is_check(node: SourceNode) -> bool:
    return isinstance(node.value, dict) and len(_MARKS & node.value.keys()) > 1


def _read_channels(context: ImportContext, listed: SourceNode, channels: dict[str, str]) -> None:
    for node in listed.children():
        name, kind = node.child("name"), node.child("kind")
        identifier = node.child("id")
        if identifier is not None and kind is not None:
            channels[str(identifier.value)] = f"{kind.value} ({name.value})" if name and name.value else str(kind.value)
        context.drop(
            node,
            "the API does not return the address and the key of an integration",
            "define it in alerting.channels, and a route with notify",
        )
