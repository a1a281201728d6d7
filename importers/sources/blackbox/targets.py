"""Targets of probes, relabeled: from scrape configurations of Prometheus and from files with targets."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from importers.import_context import ImportContext
from importers.reading import parse_seconds, read_list, read_mapping, read_optional_text, read_text
from importers.source_tree import NotCarriedOver, SourceNode


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


def _expand(match: re.Match[str], replacement: str) -> str:
    try:
        return match.expand(expand_replacement(replacement))
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


DEFAULT_INTERVAL, DEFAULT_TIMEOUT = 60.0, 10.0
"""Seconds, of Prometheus."""
NOT_A_PROBE = "it scrapes metrics without a probe of blackbox_exporter"
_USED_KEYS = ("job_name", "scrape_interval", "scrape_timeout", "metrics_path", "params", "relabel_configs")
_JOB_REASONS: Mapping[str, tuple[str, str]] = {
    "metric_relabel_configs": ("metrics of probes are not stored", "docs/telemetry.md"),
    "scheme": ("the exporter is not used any more", ""),
    "honor_labels": ("the exporter is not used any more", ""),
    "honor_timestamps": ("the exporter is not used any more", ""),
    "basic_auth": ("the exporter is not used any more", ""),
    "authorization": ("the exporter is not used any more", ""),
    "tls_config": ("the exporter is not used any more", ""),
    "sample_limit": ("the exporter is not used any more", ""),
}
_DISCOVERY = "targets of a service discovery are not known from its configuration"


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """One probe. `nodes`: what it comes from. Times in seconds."""

    address: str
    module: str
    labels: Mapping[str, str]
    node: SourceNode
    nodes: Sequence[SourceNode]
    interval: float = DEFAULT_INTERVAL
    timeout: float = DEFAULT_TIMEOUT
    hostname: str = ""
    group: str = ""
    """The name of the scrape job."""


@dataclass(slots=True)
class TargetGroup:
    """Targets with their labels, and which of them were used."""

    targets: list[SourceNode] = field(default_factory=list)
    labels: dict[str, SourceNode] = field(default_factory=dict)


def read_groups(node: SourceNode) -> Iterator[TargetGroup]:
    """Yield the entries of `static_configs`, or of a file with targets."""
    for entry in read_list(node):
        keys = read_mapping(entry)
        targets = read_list(keys["targets"]) if "targets" in keys else []
        yield TargetGroup(targets, read_mapping(keys["labels"]) if "labels" in keys else {})


def find_scrape_targets(root: SourceNode, files: Sequence[SourceNode], context: ImportContext) -> Iterator[ProbeTarget]:
    """Yield the probes of a configuration of Prometheus. `files`: those with targets, by whose name they are found."""
    scrapes = root.child("scrape_configs")
    if scrapes is not None:
        for scrape in read_list(scrapes):
            try:
                yield from _ScrapeJob(root, scrape, files, context).find()
            except NotCarriedOver as error:
                context.ledger.record_rest(scrape, error.why, error.nearest)


class _ScrapeJob:
    """One entry of `scrape_configs`."""

    def __init__(
        self, root: SourceNode, scrape: SourceNode, files: Sequence[SourceNode], context: ImportContext
    ) -> None:
        self._scrape = scrape
        self._files = files
        self._context = context
        self._rules: list[RelabelRule] = read_rules(scrape.child("relabel_configs"))
        self._name = read_optional_text(scrape.child("job_name"))
        self._interval = self._seconds(root, "scrape_interval", DEFAULT_INTERVAL)
        self._timeout = self._seconds(root, "scrape_timeout", min(DEFAULT_TIMEOUT, self._interval))
        self._used = [node for key in _USED_KEYS if (node := scrape.child(key)) is not None]
        for key in ("scrape_interval", "scrape_timeout"):
            node = root.child("global", key)
            if node is not None and scrape.child(key) is None:
                self._used.append(node)

    def find(self) -> Iterator[ProbeTarget]:
        has_probes = False
        for group in self._groups():
            for target in group.targets:
                probe = self._make_probe(target, group)
                if probe is None:
                    continue
                has_probes = True
                yield probe
        if has_probes or self._is_probe():
            self._report_rest()
        else:
            self._context.ledger.record_rest(self._scrape, NOT_A_PROBE, "a job of kind http for the metrics page")

    def _groups(self) -> Iterator[TargetGroup]:
        for key, value in read_mapping(self._scrape).items():
            if key == "static_configs":
                yield from read_groups(value)
            elif key == "file_sd_configs":
                yield from self._file_groups(value)

    def _file_groups(self, node: SourceNode) -> Iterator[TargetGroup]:
        for entry in read_list(node):
            patterns = entry.child("files")
            for pattern in read_list(patterns):
                name = PurePath(read_text(pattern)).name
                matching = [file for file in self._files if fnmatch.fnmatch(PurePath(file.tree.file).name, name)]
                if not matching:
                    self._context.drop(pattern, "the file was not given", f"--targets {read_text(pattern)}")
                    continue
                self._context.use(pattern, "the targets of the file are written into the jobs")
                for file in matching:
                    yield from read_groups(file)

    def _make_probe(self, target: SourceNode, group: TargetGroup) -> ProbeTarget | None:
        address = read_text(target)
        labels = {
            "__address__": address,
            "__scheme__": "http",
            "__metrics_path__": read_optional_text(self._scrape.child("metrics_path")) or "/metrics",
            "job": self._name,
            **self._parameters(),
            **{name: read_text(value) for name, value in group.labels.items()},
        }
        final = relabel(labels, self._rules)
        if final is None:
            self._context.drop(target, "relabel_configs drop this target")
            return None
        probed = final.get("__param_target", "")
        if not probed or not final.get("__param_module", "http_2xx"):
            return None
        shown = {name: value for name, value in final.items() if not name.startswith("__") and value}
        return ProbeTarget(
            probed,
            final.get("__param_module", "http_2xx"),
            shown,
            target,
            [target, *group.labels.values(), *self._used],
            self._interval,
            self._timeout,
            final.get("__param_hostname", ""),
            self._name,
        )

    def _parameters(self) -> dict[str, str]:
        """Return the first value of each parameter, as Prometheus does."""
        node = self._scrape.child("params")
        parameters: dict[str, str] = {}
        for name, values in read_mapping(node).items():
            entries = read_list(values)
            if entries:
                parameters[f"__param_{name}"] = read_text(entries[0])
        return parameters

    def _seconds(self, root: SourceNode, key: str, default: float) -> float:
        for node in (self._scrape.child(key), root.child("global", key)):
            if seconds := parse_seconds(read_optional_text(node)):
                return seconds
        return default

    def _is_probe(self) -> bool:
        return any(name in self._parameters() for name in ("__param_module", "__param_target"))

    def _report_rest(self) -> None:
        for node in self._scrape.children():
            if node.key in _JOB_REASONS:
                self._context.ledger.record_rest(node, *_JOB_REASONS[node.key])
            elif node.key.endswith("_sd_configs") and node.key != "file_sd_configs":
                self._context.ledger.record_rest(node, _DISCOVERY, "a file with targets: --targets FILE")
            elif node.key == "file_sd_configs":
                self._context.ledger.record_rest(node, "files are read by the import alone")
            elif node.key in _USED_KEYS:
                self._context.ledger.record_rest(node, "no target of this scrape job is imported")


def find_listed_targets(root: SourceNode, modules: Sequence[str], context: ImportContext) -> Iterator[ProbeTarget]:
    """Yield the probes of a file with targets that no scrape job names. The label `module` names their module."""
    for group in read_groups(root):
        labels = {name: read_text(value) for name, value in group.labels.items()}
        module = labels.pop("__param_module", "") or labels.pop("module", "")
        if not module and len(modules) == 1:
            (module,) = modules
        for target in group.targets:
            if not module:
                why = "it has no module"
                context.drop(target, why, "the label module, or a scrape job that names the file")
                continue
            shown = {name: value for name, value in labels.items() if not name.startswith("__")}
            nodes = [target, *group.labels.values()]
            yield ProbeTarget(read_text(target), module, shown, target, nodes)


_PIECE = re.compile(
    r"\\Q(?P<quoted>.*?)(?:\\E|$)|\\(?P<escape>.)"
    r"|\[(?P<group>\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]])*)\]|(?P<plain>.)",
    re.DOTALL,
)


_REPEATED_ANCHOR = re.compile(r"(\^|\$|\\b|\\B|\\A|\\z)([*+?])")


def translate_pattern(pattern: str, *, by_line: bool = False) -> str:
    """Return a pattern that matches what it matches in Go.

    `$` is the end of the text alone in Go. `by_line`: of a dialogue, whose lines are compared one by one.
    """
    end = r"\r?$" if by_line else r"\Z"
    is_multiline = re.match(r"\(\?[a-zA-Z]*m", pattern) is not None
    text = _REPEATED_ANCHOR.sub(lambda found: found[1] if found[2] == "+" else "", pattern)
    parts: list[str] = []
    for piece in _PIECE.finditer(text):
        if piece["quoted"] is not None:
            parts.append(re.escape(piece["quoted"]))
        elif piece["escape"] is not None:
            parts.append(end if piece["escape"] == "z" else f"\\{piece['escape']}")
        elif piece["group"] is not None:
            parts.append(f"[{piece['group']}]")
        elif piece["plain"] == "$" and not is_multiline:
            parts.append(end)
        else:
            parts.append(piece["plain"])
    written = "".join(parts).replace("(?U)", "")
    return f"(?m){written}" if by_line and ("^" in written or "$" in written) else written


def expand_replacement(replacement: str) -> str:
    """Return Go's `$1` and `${name}` as Python's `\\g<1>` and `\\g<name>`."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else f"\\g<{match[1] or match[2]}>"

    return re.sub(r"\$\$|\$\{(\w+)\}|\$(\w+)", replace, replacement.replace("\\", "\\\\"))
