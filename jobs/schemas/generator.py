"""JSON schemas of models, as editors need them, with help texts for the keys of alerts, where the models have none.

A key that has no text here and none in its model fails a test. An alternative (`anyOf`) would report what each of its
members misses. Instead, a union becomes conditions: the type, the `kind` or the key of a value selects the schema that
it must meet, so that a mistake is reported once, at its key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from jobs.formats import format_duration

Schema = dict[str, Any]

TAGS: Final = "oneOf"
"""Keyword of a union with a discriminator, with its members by tag, until jobs.schemas.generator resolves it."""
_BY_NAME: Final = ("properties", "patternProperties", "$defs", TAGS)
_LISTS: Final = ("allOf", "anyOf")
SINGLE: Final = ("items", "additionalProperties", "if", "then", "else", "not", "propertyNames")
"""Keywords whose value is one schema."""


def list_parts(schema: Schema) -> Iterator[tuple[str, str | int | None, Schema]]:
    """Yield each part below: its keyword, its name or number below that, and the part."""
    for word in SINGLE:
        if isinstance(schema.get(word), dict):
            yield word, None, schema[word]
    for word in (*_BY_NAME, *_LISTS):
        below: Any = schema.get(word, {})
        for inner, part in below.items() if isinstance(below, dict) else enumerate(below):
            if isinstance(part, dict):
                yield word, inner, part


_COMPLEX: Final = frozenset({"$ref", "if", "enum", "const", "anyOf", "allOf", "not"})
"""Keywords that concern values of each type, so that a schema with one of them cannot be merged with another."""


def require_if_known(keys: Iterable[str], required: Sequence[str]) -> Schema:
    """Return that keys are required, unless a key is unknown: then it is reported alone, as it may be a missing one."""
    return {"if": {"propertyNames": {"enum": list(dict.fromkeys(keys))}}, "then": {"required": list(required)}}


def closed(keys: Iterable[str], required: Sequence[str]) -> Schema:
    """Return the schema of a mapping with these keys and any values."""
    condition = require_if_known(keys, required)
    return {**condition, "else": condition["if"]}


# Conditions have no `required`: editors that complete a mapping take it as met.


def has_any_key(*keys: str) -> Schema:
    """Return the condition that a mapping has one of these keys."""
    return {"not": {"propertyNames": {"not": {"const": keys[0]} if len(keys) == 1 else {"enum": list(keys)}}}}


def has_value(key: str, value: Schema) -> Schema:
    """Return the condition that a mapping has this key with such a value."""
    return {"not": {"properties": {key: {"not": value}}}}


def resolve_unions(schema: Schema, definitions: Mapping[str, Schema]) -> None:
    """Replace the unions of a schema and of its definitions; report missing keys of a mapping without unknown ones."""
    union = _Unions(definitions)
    for each in (*definitions.values(), schema):
        union.replace_below(each)
    for name, each in (*definitions.items(), ("", schema)):
        _require_known(each, is_selected=name in union.selected_by_key)


def _require_known(schema: Schema, *, is_selected: bool = False) -> None:
    for _, _, part in list_parts(schema):
        _require_known(part)
    if "required" in schema and schema.get("additionalProperties") is False and "if" not in schema:
        required = schema.pop("required")
        if not (is_selected and len(required) == 1):
            schema.update(require_if_known(schema["properties"], required))


class _Unions:
    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions
        self.selected_by_key: set[str] = set()
        """Definitions that are selected by their only required key, which is therefore there."""

    def replace_below(self, schema: Schema) -> None:
        for _, _, part in list_parts(schema):
            self.replace_below(part)
        if TAGS in schema:
            schema.update(self._select_by_tag(schema.pop(TAGS)))
        if "anyOf" in schema:
            merged = self._select_by_type(schema.pop("anyOf"))
            schema.update(merged | schema)

    def _resolve(self, schema: Schema) -> Schema:
        found = self._definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        if TAGS in found or "anyOf" in found:
            self.replace_below(found)
        return found

    def _select_by_tag(self, choices: dict[str, Schema]) -> Schema:
        properties = {tag: self._resolve(each).get("properties", {}) for tag, each in choices.items()}
        keys = list(dict.fromkeys(key for each in properties.values() for key in each))
        if all("kind" in each for each in properties.values()):
            return select_by_kind(choices, closed(keys, ["kind"]))
        if all(tag in each for tag, each in properties.items()):
            self.selected_by_key |= {each["$ref"].rpartition("/")[2] for each in choices.values() if "$ref" in each}
            return _by_key(choices, keys)
        return self._select_by_type(list(choices.values()))

    def _select_by_type(self, members: list[Schema]) -> Schema:
        if any(not member for member in members):
            return {}
        types = [self._types_of(member) for member in members]
        numeric = {"integer", "number", "boolean"}
        if any(each == ["string"] for each in types):
            # The text of a number is not needed where each text is valid, or those of another form.
            types = [[t for t in each if t != "string"] if numeric.intersection(each) else each for each in types]
        simple: Schema = {"type": list(dict.fromkeys(t for each in types for t in each))}
        selected: Schema = {}
        for member, of_member in zip(reversed(members), reversed(types), strict=True):
            if _COMPLEX.isdisjoint(member):
                rest = {key: value for key, value in member.items() if key != "type"}
                if "string" not in of_member:
                    rest.pop("pattern", None)
                simple = _merge(simple, rest)
            elif "enum" in member and len(members) == 2 and ["null"] in types:
                simple = {**member, "type": simple["type"], "enum": [*member["enum"], None]}
            else:
                of_type = {"type": of_member[0] if len(of_member) == 1 else of_member}
                selected = {"if": of_type, "then": member, **({"else": selected} if selected else {})}
        return simple | selected

    def _types_of(self, schema: Schema) -> list[str]:
        found = self._resolve(schema).get("type")
        assert found is not None, schema
        return [found] if isinstance(found, str) else list(found)


def _merge(first: Schema, second: Schema) -> Schema:
    """Return both keywords. Of a keyword that both have, examples are joined, and another one is of the second."""
    examples = [*second.get("examples", ()), *first.get("examples", ())]
    return first | second | ({"examples": examples} if examples else {})


def _by_key(choices: dict[str, Schema], keys: list[str]) -> Schema:
    """Select by the first of the keys that a mapping has; see jobs.model_base.discriminate_by_key."""
    one_of_them = {"anyOf": [{"required": [key]} for key in choices]}
    selected: Schema = {**require_if_known(keys, []), "then": one_of_them}
    selected |= {"properties": {key: {} for key in [*choices, *keys]}, "additionalProperties": False}
    for key, choice in reversed(choices.items()):
        selected = {"if": has_any_key(key), "then": choice, "else": selected}
    return {"type": "object", **selected}


def select_by_kind(choices: dict[str, Schema], otherwise: Schema) -> Schema:
    """Return the schema that selects by `kind`. `otherwise`: of a mapping without a kind."""
    kinds = {"enum": list(choices), "description": "What it is; the other keys depend on it"}
    selected = {"if": has_any_key("kind"), "else": otherwise}
    for kind, choice in reversed(choices.items()):
        selected = {"if": has_value("kind", {"const": kind}), "then": choice, "else": selected}
    return {"type": "object", "properties": {"kind": kinds}, **selected}


_PERIOD_TEXTS: Final = {
    "from": "The first instant, such as 2026-12-01T22:00; needs until or for",
    "until": "The instant at which it ends",
    "for": "How long it lasts, such as 3h; with from, schedule or weekly",
    "schedule": "It begins at each due instant of this schedule; needs for",
    "weekly": "Times of the week: {from: FRIDAY 22:00, to: SUNDAY 17:00}, {days: MON-FRI, from: '08:00', to: '18:00'}",
    "calendar": "Whole days, such as [{holidays: DE}, {dates: ['2026-12-24']}]",
    "except": "Days on which a weekly period does not begin, in the form of calendar",
    "timezone": "IANA name of the zone of local times, such as Europe/Berlin; default: UTC",
}
_WINDOW: Final = "The time up to now in which runs are counted"
_MINIMUM: Final = "With fewer runs in the window the condition is not known"
_CLOSE: Final = "The value at which the alert closes; default: that at which it opens"

TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "SeverityDefinition": {
        "rank": "info is 0, degraded 10, down 20, blind 30; an incident has the highest of its alerts",
        "counts_as_downtime": "Whether incidents of this severity reduce the uptime",
        "description": "Text for people",
    },
    "SelectedRules": {"select": "The jobs without alerts to which the rules apply"},
    "AlertRule": {
        "when": "The condition, such as failed, degraded or {success_rate_below: 95%}; default: failed",
        "open_after": "Bad runs that open the alert: 3 in a row, or 3 of 5",
        "close_after": "Good runs in a row that close it; default: when fewer runs than required are bad",
        "for": "How long the condition must be met before the alert fires",
        "notify": "Channels; without them the routes decide",
        "remind_every": "Time between reminders while the incident is open, at least 1m; default: none",
        "escalate": "Further channels while the incident is open and not acknowledged: [{after: 30m, notify: oncall}]",
        "reopen_within": "A new failure within this time reopens the incident",
        "flapping": "An incident with so many changes stays open until it is stable; false: never",
        "triggers": "Triggers of the runs that count: schedule, dependency, manual, backfill",
        "runbook": "Link to what to do, part of each message",
        "counts_as_downtime": "Whether it reduces the uptime; default: as its severity",
    },
    "Escalation": {"after": "Time since the incident opened", "notify": "Channels"},
    "SuccessRateCondition": {
        "success_rate_below": "Share of the runs in the window that succeed, such as 95%",
        "window": _WINDOW,
        "minimum_runs": _MINIMUM,
        "close_at": _CLOSE,
    },
    "ErrorShareCondition": {
        "error_share_above": "Share of the runs in the window that fail with one of errors, such as 10%",
        "errors": "Classes of errors such as timeout; default: all",
        "window": _WINDOW,
        "minimum_runs": _MINIMUM,
        "close_at": _CLOSE,
    },
    "BurnRateCondition": {
        "burn_rate": "How many times as fast as the budget allows, in both windows",
        "target": "Percent of runs that must be good, such as 99.9",
        "window": "The long window, in which enough runs must be bad",
        "short_window": "The window that ends the alert soon after the trouble",
        "minimum_bad_runs": "Bad runs in the long window without which the alert does not fire",
        "degraded_runs": "What a degraded run counts as: good or bad",
    },
    "ResponseTimeCondition": {
        "response_time_above": "The response time that the percentile exceeds",
        "percentile": "Of the response times in the window, nearest rank",
        "window": _WINDOW,
        "minimum_runs": _MINIMUM,
        "close_at": _CLOSE,
    },
    "SlowerThanUsualCondition": {
        "slower_than_usual": "By how much a percentile is longer than the median of the same hours before, such as 50%",
        "compared_with": "The same hours of earlier weeks, or of earlier days",
        "weeks": "How many weeks are compared; before the job has run for so long, nothing is usual",
        "percentile": "Of the response times of the hours",
        "minimum_runs": "Responses that each of the compared periods must have",
        "at_least": "Time by which it must be longer as well",
        "window": "The latest complete hours, 1h to 24h",
        "timezone": "By whose clocks the hours are the same: an IANA name; default: UTC",
    },
    "LatenessCondition": {"lateness_above": "Time from the due instant to the start of the run"},
    "CertificateDaysCondition": {"certificate_days_below": "Days until the certificate of the target expires"},
    "SecretDaysCondition": {"secret_days_below": "Days until a secret of the job expires"},
    "DeadLettersCondition": {"dead_letters_above": "Number of dead letters in the window", "window": _WINDOW},
    "SilentCondition": {"grace": "Time after the last instant at which a run should have finished"},
    "AlertGroup": {
        "jobs": "The members",
        "down_when": "any, all, {at_least: 2} or {share: 50%} of the jobs that have a run",
        "alerts": "Rules about the group; default: one about failed",
        "description": "Text for people",
        "tags": "For routes and windows, as the tags of a job",
    },
    "DownWhen": {
        "at_least": "Number of jobs that are down",
        "share": "Share of the jobs that are down, such as 50%",
        "all": "true: each job is down",
    },
    "SecretRef": {"secret": "Name of the secret"},
    "EmailChannel": {
        "host": "SMTP server",
        "port": "Default: that of security",
        "security": "How the connection is encrypted",
        "username": "For the login at the server",
        "to": "Addresses of the recipients",
    },
    "NtfyChannel": {
        "server": "URL of the server",
        "priority": "1 (lowest) to 5; default: by the severity",
        "replace": "true: later messages replace the first one",
    },
    "WebhookChannel": {
        "method": "Method of the request",
        "headers": "Headers; a value is a template or {secret: NAME}",
        "body": "JSON whose texts are templates; default: all fields of the message",
    },
    "PagerDutyChannel": {"region": "Region of the account", "url": "URL of the events API, instead of region"},
    "OpsgenieChannel": {"region": "Region of the account"},
    "AzureActionGroupChannel": {"id": "Resource id of the action group", "url": "URL of Azure Resource Manager"},
    "DatadogEventChannel": {"site": "Site of the account, such as datadoghq.eu", "tags": "Tags of each event"},
    "AlertmanagerChannel": {
        "url": "URL of the Alertmanager",
        "labels": "Labels in addition to those of the incident",
        "valid_for": "Time after which the Alertmanager resolves an alert that is not sent again",
    },
    "Route": {
        "match": "The incidents that take this route; default: all",
        "time": "Times at which the route matches (only), or is held back (mute)",
        "notify": "Channels; an empty list notifies none",
        "on_call": "A rota, whose people on call are notified in addition",
        "digest": "Everything until this time is one message: 08:00 Europe/Berlin, or a schedule",
        "continue": "true: later routes are tried in addition",
    },
    "RouteTimes": {
        "only": "Periods in which the route matches",
        "mute": "Periods in which its notifications are held back",
    },
    "PeriodDefinition": _PERIOD_TEXTS,
    "RotaDefinition": {
        "file": "iCalendar file, relative to the folder of the job file",
        "url": "URL of the iCalendar, or {secret: NAME}",
        "people": "Channels by person; the titles of the events name people",
        "otherwise": "Channels while no person is on call",
        "timezone": _PERIOD_TEXTS["timezone"],
    },
    "MaintenanceWindow": {
        **_PERIOD_TEXTS,
        "select": "The jobs, groups and severities that it concerns",
        "effect": "silence: jobs run, and notifications are held back; pause: jobs do not run either",
        "only_then": "true: notifications, or runs, are possible inside of the window only",
        "counts": "false: rules do not count the runs inside",
        "reason": "Text for messages and explanations",
        "change_id": "Number of a change record, such as CHG0042",
    },
    "TemplatesSection": {
        "title": "Jinja2 template of the title; {{ title }} is the default",
        "text": "Jinja2 template of the text; {{ text }} is the default",
        "timezone": "IANA name of the zone of times in messages; default: UTC",
    },
}
"""By model and key."""


def add_texts(model: str, schema: Mapping[str, Any]) -> None:
    """Add the texts of a model to its schema."""
    properties = schema.get("properties", {})
    for key, text in TEXTS.get(model, {}).items():
        if key in properties:
            properties[key]["description"] = text


_WHOLE_TEXT: Final = r"^\s*[+-]?[0-9_]+(\.0*)?\s*$"
_NUMBER_TEXT: Final = r"^\s*[+-]?([0-9_]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_FLAG_TEXT: Final = (
    "^([tT]([rR][uU][eE])?|[fF]([aA][lL][sS][eE])?|[yY]([eE][sS])?|[nN][oO]?|[oO][nN]|[oO][fF][fF]|0|1)$"
)
_BOUNDS: Final = {"ge": "minimum", "le": "maximum"}
_LENGTHS: Final = {"minLength": "minItems", "maxLength": "maxItems"}


class _Generator(GenerateJsonSchema):
    """Numbers and flags can be texts, as the models read them. A union with a discriminator keeps its tags."""

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return super().int_schema(schema) | {"type": ["integer", "string"], "pattern": _WHOLE_TEXT}

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return super().float_schema(schema) | {"type": ["number", "string"], "pattern": _NUMBER_TEXT}

    def bool_schema(self, schema: core_schema.BoolSchema) -> JsonSchemaValue:
        return {"type": ["boolean", "string", "integer"], "pattern": _FLAG_TEXT, "minimum": 0, "maximum": 1}

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        return {TAGS: {str(tag): self.generate_inner(choice) for tag, choice in schema["choices"].items()}}

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def create_model_schema(model: Any) -> tuple[Schema, dict[str, Schema]]:
    """Return the schema of a model or of an annotated type, and the definitions to which it refers."""
    # A copy: pydantic returns parts that belong to the fields.
    schema = deepcopy(TypeAdapter(model).json_schema(by_alias=True, schema_generator=_Generator))
    definitions: dict[str, Schema] = schema.pop("$defs", {})
    for name, each in ((getattr(model, "__name__", ""), schema), *definitions.items()):
        _clean(each)
        add_texts(name, each)
    resolve_unions(schema, definitions)
    return schema, definitions


def _clean(schema: Schema) -> None:
    """Remove titles, which repeat the keys; write defaults and bounds as a file has them."""
    schema.pop("title", None)
    if "description" in schema:
        schema["description"] = re.sub(r"\s*\n\s*", " ", schema["description"])
    for name, standard in _BOUNDS.items():
        bound = schema.pop(name, None)
        if bound is not None and schema.get("type") != "string":
            schema[standard] = bound
    for name, standard in _LENGTHS.items():
        if name in schema and ("items" in schema or "anyOf" in schema):
            schema[standard] = schema.pop(name)
    if schema.get("default", ...) is None:
        del schema["default"]
    if isinstance(schema.get("default"), float) and schema.get("type") == "string":
        schema["default"] = format_duration(schema["default"])
    for _, _, part in list_parts(schema):
        _clean(part)
