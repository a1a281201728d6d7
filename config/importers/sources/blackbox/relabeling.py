"""The relabel rules of Prometheus, as far as they make the parameters of a probe. Called by targets. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from config.importers.errors import NotCarriedOver
from config.importers.node import SourceNode
from config.importers.sources.blackbox.go_patterns import expand_replacement, translate_pattern
from config.importers.values.reading import read_list, read_mapping, read_optional_text, read_text


@dataclass(frozen=True, slots=True)
class RelabelRule:
    """One rule with its defaults."""

    action: str
    source_labels: tuple[str, ...]
    separator: str
    pattern: re.Pattern[str]
    target_label: str
    replacement: str


def read_rules(node: SourceNode | None) -> list[RelabelRule]:
    """Return the rules of `relabel_configs`. Raises NotCarriedOver: one cannot be applied."""
    return [] if node is None else [_read_rule(one) for one in read_list(node)]


def _read_rule(node: SourceNode) -> RelabelRule:
    keys = read_mapping(node)
    expression = read_text(keys["regex"]) if "regex" in keys and keys["regex"].value is not None else "(.*)"
    try:
        pattern = re.compile(translate_pattern(expression), re.DOTALL)
    except re.error:
        raise NotCarriedOver(f"{node.shown_path}: the regular expression of a rule cannot be read") from None
    action = read_optional_text(keys.get("action")).lower() or "replace"
    if action not in _ACTIONS:
        raise NotCarriedOver(f"{node.shown_path}: the action {action} of a rule is not known")
    return RelabelRule(
        action,
        tuple(map(read_text, read_list(keys["source_labels"]))) if "source_labels" in keys else (),
        read_text(keys["separator"]) if "separator" in keys else ";",
        pattern,
        read_optional_text(keys.get("target_label")),
        read_text(keys["replacement"]) if "replacement" in keys else "$1",
    )


def relabel(labels: Mapping[str, str], rules: Sequence[RelabelRule]) -> dict[str, str] | None:
    """Return the labels after all rules; None if the target is dropped."""
    result: dict[str, str] | None = dict(labels)
    for rule in rules:
        if result is None:
            break
        result = _ACTIONS[rule.action](result, rule)
    return result


def _joined(labels: Mapping[str, str], rule: RelabelRule) -> str:
    return rule.separator.join(labels.get(name, "") for name in rule.source_labels)


def _replace(labels: dict[str, str], rule: RelabelRule) -> dict[str, str]:
    found = rule.pattern.fullmatch(_joined(labels, rule))
    if found is None:
        return labels
    name = _expand(found, rule.target_label)
    value = _expand(found, rule.replacement)
    rest = {key: one for key, one in labels.items() if key != name}
    return {**rest, name: value} if value else rest


def _expand(found: re.Match[str], replacement: str) -> str:
    try:
        return found.expand(expand_replacement(replacement))
    except (re.error, IndexError):
        return ""  # a group that the pattern does not have


def _keep(labels: dict[str, str], rule: RelabelRule) -> dict[str, str] | None:
    return labels if rule.pattern.fullmatch(_joined(labels, rule)) else None


def _drop(labels: dict[str, str], rule: RelabelRule) -> dict[str, str] | None:
    return None if rule.pattern.fullmatch(_joined(labels, rule)) else labels


def _keep_equal(labels: dict[str, str], rule: RelabelRule) -> dict[str, str] | None:
    return labels if _joined(labels, rule) == labels.get(rule.target_label, "") else None


def _drop_equal(labels: dict[str, str], rule: RelabelRule) -> dict[str, str] | None:
    return None if _joined(labels, rule) == labels.get(rule.target_label, "") else labels


def _lower(labels: dict[str, str], rule: RelabelRule) -> dict[str, str]:
    return {**labels, rule.target_label: _joined(labels, rule).lower()}


def _upper(labels: dict[str, str], rule: RelabelRule) -> dict[str, str]:
    return {**labels, rule.target_label: _joined(labels, rule).upper()}


def _map_names(labels: dict[str, str], rule: RelabelRule) -> dict[str, str]:
    mapped = dict(labels)
    for name, value in labels.items():
        if (found := rule.pattern.fullmatch(name)) is not None:
            mapped[_expand(found, rule.replacement)] = value
    return mapped


def _drop_names(labels: dict[str, str], rule: RelabelRule) -> dict[str, str]:
    return {name: value for name, value in labels.items() if not rule.pattern.fullmatch(name)}


def _keep_names(labels: dict[str, str], rule: RelabelRule) -> dict[str, str]:
    return {name: value for name, value in labels.items() if rule.pattern.fullmatch(name)}


_ACTIONS: Mapping[str, Callable[[dict[str, str], RelabelRule], dict[str, str] | None]] = {
    "replace": _replace,
    "keep": _keep,
    "drop": _drop,
    "keepequal": _keep_equal,
    "dropequal": _drop_equal,
    "lowercase": _lower,
    "uppercase": _upper,
    "labelmap": _map_names,
    "labeldrop": _drop_names,
    "labelkeep": _keep_names,
}
