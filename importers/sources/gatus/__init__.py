"""The source `gatus`: endpoints, external endpoints and suites become jobs. See importers.registry."""

from importers.sources.gatus.files import detects, import_files

__all__ = ["detects", "import_files"]
