"""A health document of any framework: words, limits, durations, and its judgement by the rules of a job. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from jobs.formats import describe_milliseconds, describe_seconds, matches_wildcard
from jobs.runs.details import EntryEffect, EntryStatus, ReportedEntry
from jobs.runs.health_history import HealthHistory

MAX_ENTRIES = 1000
"""Entries of a document."""
DEEPEST_NESTING = 8
"""Levels of nested components."""
MAX_NAME = 200
"""Characters of an entry's name with its path."""
MAX_TEXT = 4096
"""Characters of a text before secrets are redacted and it is shortened."""
_NUMBER = re.compile(r" \(\d{1,4}\)$")
"""Of an entry after others with its name."""
_MAX_WORD = 40
_MAX_PAIRS = 3
"""Values of a `data` object that replace a missing description."""

_STATUS_OF_WORD = {
    **dict.fromkeys(("healthy", "up", "pass", "ok"), EntryStatus.UP),
    **dict.fromkeys(("degraded", "warn", "warning"), EntryStatus.DEGRADED),
    **dict.fromkeys(("unhealthy", "down", "out_of_service", "fail", "error"), EntryStatus.DOWN),
}
"""Of all frameworks: no word means different things in two of them."""

_TEXT_KEYS = ("description", "exception", "error", "errormessage", "message", "reason", "output")


class NotHealthDocument(Exception):
    """The answer is not a health document of the format, or it is beyond a limit; the message is a clause."""


@dataclass(frozen=True, slots=True)
class HealthDocument:
    """`word`, `status` and `text`: of the whole."""

    word: str
    status: EntryStatus
    entries: tuple[ReportedEntry, ...] = ()
    text: str = ""


def make_document(word: Any, entries: Iterable[ReportedEntry] = (), text: str = "") -> HealthDocument:
    """Return a document whose entries have different names. Raises NotHealthDocument: it has too many."""
    entries_by_name: dict[str, ReportedEntry] = {}
    seen: dict[str, int] = {}
    for entry in entries:
        if len(entries_by_name) == MAX_ENTRIES:
            raise NotHealthDocument(f"a document with more than {MAX_ENTRIES} entries: reduce the answer of the target")
        named = entry
        while named.name in entries_by_name:
            number = seen[entry.name] = seen.get(entry.name, 1) + 1
            named = replace(entry, name=f"{entry.name} ({number})")
        entries_by_name[named.name] = named
    shown = read_word(word)
    return HealthDocument(shown, status_of(shown), tuple(entries_by_name.values()), text)


def make_entry(
    name: Any, word: str, *sources: Any, duration_ms: float | None = None, observed: str = ""
) -> ReportedEntry:
    """Return an entry; `sources`: see read_text. One that is up has no text: it describes a configuration."""
    status = status_of(word)
    text = "" if status is EntryStatus.UP else read_text(*sources)
    return ReportedEntry(read_name(name), status, word, text, duration_ms, observed)


def status_of(word: str) -> EntryStatus:
    return _STATUS_OF_WORD.get(word.strip().lower(), EntryStatus.UNKNOWN)


def read_word(value: Any) -> str:
    """Return a status as it was written, shortened; empty if the value is not a text."""
    return value.strip()[:_MAX_WORD] if isinstance(value, str) else ""


def read_name(value: Any) -> str:
    name = value if isinstance(value, str) else ""
    return name.strip()[:MAX_NAME] or "unnamed"


def read_text(*sources: Any) -> str:
    """Return the first description or error in these objects; failing that, the first texts and numbers of the last."""
    for source in sources:
        if isinstance(source, Mapping):
            lower = lower_keys(source)
            for key in _TEXT_KEYS:
                if text := _as_text(lower.get(key)):
                    return text
    return _pairs(sources[-1]) if sources and isinstance(sources[-1], Mapping) else ""


def lower_keys(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object with its keys in lower case: writers differ in `Status` and `status`."""
    return {key.lower(): value for key, value in source.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):  # a serialized exception
        value = next((text for key, text in value.items() if key.lower() == "message"), None)
    return value.strip()[:MAX_TEXT] if isinstance(value, str) else ""


def _pairs(source: Mapping[str, Any]) -> str:
    # The data of frameworks is a flat object of values that the application chose.
    pairs = (
        f"{key}: {value}" if isinstance(value, str) else f"{key}: {value!r}"
        for key, value in list(source.items())[:_MAX_PAIRS]
        if isinstance(value, (str, int, float)) and key != "status"
    )
    return ", ".join(pairs)[:MAX_TEXT]


_TIME_SPAN = re.compile(r"(?:(\d{1,6})\.)?(\d{1,2}):(\d{2}):(\d{2}(?:\.\d{1,9})?)")
"""`[d.]hh:mm:ss[.fffffff]`, the form of .NET."""
_ISO = re.compile(r"PT(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?")
_WITH_UNIT = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*(ms|milliseconds|s|seconds)")
_MAX_FORM = 40
_MAX_MS = 1e12

_MILLISECOND_KEYS = ("durationms", "durationmilliseconds", "durationinms", "elapsedms", "elapsedmilliseconds")
_ANY_KEYS = ("duration", "elapsed", "took", "responsetime")


def read_duration_ms(entry: Mapping[str, Any]) -> float | None:
    """Return the milliseconds of an entry whose keys are in lower case; None if it has none in a known form.

    A bare number is milliseconds. A bare number in a text can be seconds as well, and is not read.
    """
    for key in _MILLISECOND_KEYS:
        if (milliseconds := _number(entry.get(key))) is not None:
            return milliseconds
    for key in _ANY_KEYS:
        value = entry.get(key)
        if (milliseconds := parse_duration_ms(value) if isinstance(value, str) else _number(value)) is not None:
            return milliseconds
    return None


def parse_duration_ms(text: str) -> float | None:
    """Return the milliseconds of `00:00:23.1`, `PT23.1S`, `250 ms` or `23.1s`; None for any other text."""
    text = text.strip()
    if len(text) > _MAX_FORM:
        return None
    if (span := _TIME_SPAN.fullmatch(text)) is not None:
        days, hours, minutes, seconds = span.groups()
        return ((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60_000 + float(seconds) * 1000
    if (iso := _ISO.fullmatch(text)) is not None and any(iso.groups()):
        hours, minutes, seconds = iso.groups()
        return (int(hours or 0) * 60 + int(minutes or 0)) * 60_000 + float(seconds or 0) * 1000
    if (unit := _WITH_UNIT.fullmatch(text.lower())) is not None:
        return float(unit[1]) * (1 if unit[2].startswith("m") else 1000)
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= _MAX_MS and math.isfinite(value) else None


HEALTH_KEY, ROWS_KEY = "health", "entries"
"""The keys of the failures whose observed value is the whole verdict."""
MAX_NAMED_ENTRIES = 5
"""Entries that a message names."""
_SHOWN_DURATION_MS = 1000.0
"""A shorter duration does not explain a failure."""

_RANK = {EntryEffect.NONE: 0, EntryEffect.DEGRADED: 1, EntryEffect.DOWN: 2}
_EFFECT_OF_STATUS = {EntryStatus.DEGRADED: EntryEffect.DEGRADED, EntryStatus.DOWN: EntryEffect.DOWN}


@dataclass(frozen=True, slots=True)
class EntryRules:
    """Names can contain `*`; a name stands for the entries below it as well: `db` for `db/primary`."""

    ignore: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    effects: Mapping[str, EntryEffect] = field(default_factory=dict)
    """What an entry counts whenever it is not up."""
    max_duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class EntryReason:
    """An entry that counts, and why it does: one clause or more."""

    name: str
    texts: tuple[str, ...]
    effect: EntryEffect


@dataclass(frozen=True, slots=True)
class HealthVerdict:
    """`entries`: of the document, each with its effect. `reasons`: the worst first."""

    effect: EntryEffect
    entries: tuple[ReportedEntry, ...]
    reasons: tuple[EntryReason, ...]
    is_explained: bool
    """Whether an entry is at least as bad as the document as a whole."""


def judge_document(document: HealthDocument, rules: EntryRules) -> HealthVerdict:
    """Judge each entry, and the document as a whole.

    The document's own status counts only if no entry explains it: an ignored entry must not fail the job through it.
    """
    entries, reasons = [], []
    for entry in document.entries:
        effect, texts = _judge_entry(entry, rules, document.word)
        entries.append(replace(entry, effect=effect))
        if effect is not EntryEffect.NONE:
            reasons.append(EntryReason(entry.name, texts, effect))
    for name in rules.require:
        if not any(is_named(entry.name, name) for entry in document.entries):
            effect = rules.effects.get(name, EntryEffect.DOWN)
            reasons.append(EntryReason(name, ("required, but not in the document",), effect))
    reasons.sort(key=lambda reason: -_RANK[reason.effect])
    own = _own_effect(document)
    worst = max((_RANK[_EFFECT_OF_STATUS.get(entry.status, EntryEffect.NONE)] for entry in entries), default=0)
    is_explained = worst >= _RANK[own]
    effects = [reason.effect for reason in reasons] + ([] if is_explained else [own])
    effect = max(effects, key=_RANK.__getitem__, default=EntryEffect.NONE)
    return HealthVerdict(effect, tuple(entries), tuple(reasons), is_explained)


def describe_verdict(document: HealthDocument, verdict: HealthVerdict, show: Callable[[str], str]) -> str:
    """Return `Unhealthy because of cosmosdb (timeout, 23.1 s)`. `show`: redacts and shortens a text of the target."""
    word, listed = show(document.word), list_reasons(verdict, show)
    if document.status is EntryStatus.UP:
        return f"{word}, but {listed}"
    if verdict.is_explained:
        return f"{word} because of {listed}"
    own = f"{word}: {show(document.text)}" if document.text else f"{word} without an entry that explains it"
    if not document.entries and not document.text:
        own = f"{word}, the document has no entries"
    return f"{own}; also {listed}" if listed else own


def list_reasons(verdict: HealthVerdict, show: Callable[[str], str]) -> str:
    """Return `cosmosdb (timeout, 23.1 s), redis (Degraded)`, the worst entries first."""
    named = [_describe_reason(reason, show) for reason in verdict.reasons[:MAX_NAMED_ENTRIES]]
    return _join_named(named, len(verdict.reasons))


def list_missing(history: HealthHistory, since: datetime, rules: EntryRules) -> str:
    """Return `orders (was down), mail, and 3 more`: the entries that are missing since then, the worst first.

    Without those that are ignored, and those that are required, which the verdict names. Empty: none.
    """
    settled = (*rules.ignore, *rules.require)
    missing = [
        each.entry
        for each in history.entries
        if each.is_missing_since(since) and not any(is_named(each.entry.name, name) for name in settled)
    ]
    missing.sort(key=lambda entry: -_RANK[entry.effect])
    return _join_named([_describe_missing(entry) for entry in missing[:MAX_NAMED_ENTRIES]], len(missing))


def _describe_missing(entry: ReportedEntry) -> str:
    return entry.name if entry.effect is EntryEffect.NONE else f"{entry.name} (was {entry.effect})"


def _join_named(named: list[str], count: int) -> str:
    return ", ".join([*named, *([f"and {count - len(named)} more"] if count > len(named) else [])])


def _own_effect(document: HealthDocument) -> EntryEffect:
    if document.status is EntryStatus.UNKNOWN:
        return EntryEffect.DEGRADED
    return _EFFECT_OF_STATUS.get(document.status, EntryEffect.NONE)


def _judge_entry(entry: ReportedEntry, rules: EntryRules, word: str) -> tuple[EntryEffect, tuple[str, ...]]:
    if any(is_named(entry.name, name) for name in rules.ignore):
        return EntryEffect.NONE, ()
    given = next((effect for name, effect in rules.effects.items() if is_named(entry.name, name)), None)
    took, limit = entry.duration_ms, rules.max_duration_s
    texts = [text for text in (entry.text, *([] if entry.text or entry.word == word else [entry.word])) if text]
    if entry.observed and entry.status is not EntryStatus.UP:
        texts.append(entry.observed)
    elif took is not None and took >= _SHOWN_DURATION_MS and entry.status is not EntryStatus.UP:
        texts.append(describe_milliseconds(took))
    effect = _EFFECT_OF_STATUS.get(entry.status, EntryEffect.NONE)
    if entry.status is not EntryStatus.UP and given is not None:
        effect = given
    if limit is not None and took is not None and took > limit * 1000:
        slow = given or EntryEffect.DEGRADED
        if _RANK[slow] > _RANK[effect]:
            effect, texts = slow, [f"took {describe_milliseconds(took)}, at most {describe_seconds(limit)}"]
    return effect, tuple(texts)


def is_named(name: str, pattern: str) -> bool:
    """Return whether the name, or a part of its path from the beginning on, matches the pattern.

    A pattern stands for all entries with one name: also for `db (2)`, as the second one is called.
    """
    names = (name, _NUMBER.sub("", name)) if name.endswith(")") else (name,)
    return any(matches_wildcard(each, form) for each in names for form in (pattern, f"{pattern}/*"))


def _describe_reason(reason: EntryReason, show: Callable[[str], str]) -> str:
    texts = ", ".join(show(text) for text in reason.texts)
    return f"{show(reason.name)} ({texts})" if texts else show(reason.name)
