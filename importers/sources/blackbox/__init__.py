"""The source `blackbox`: a job for each target and module of blackbox_exporter. See importers.registry."""

from importers.sources.blackbox.files import detects, import_files

__all__ = ["detects", "import_files"]
