"""Targets of probes: from scrape configurations of Prometheus and from files with targets. Called by files."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.node import SourceNode
from config.importers.sources.blackbox.relabeling import RelabelRule, read_rules, relabel
from config.importers.values.durations import parse_seconds
from config.importers.values.reading import read_list, read_mapping, read_optional_text, read_text

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
        found = False
        for group in self._groups():
            for target in group.targets:
                probe = self._make_probe(target, group)
                if probe is None:
                    continue
                found = True
                yield probe
        if found or self._is_probe():
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
            for pattern in read_list(patterns) if patterns is not None else []:
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
        found: dict[str, str] = {}
        for name, values in read_mapping(node).items() if node is not None else ():
            entries = read_list(values)
            if entries:
                found[f"__param_{name}"] = read_text(entries[0])
        return found

    def _seconds(self, root: SourceNode, key: str, default: float) -> float:
        for node in (self._scrape.child(key), root.child("global", key)):
            seconds = parse_seconds(read_optional_text(node)) if node is not None else None
            if seconds:
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
