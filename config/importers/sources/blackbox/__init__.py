"""The source `blackbox`: a job for each target and module of blackbox_exporter. See config.importers.registry."""

from config.importers.sources.blackbox.files import detects, import_files

__all__ = ["detects", "import_files"]
