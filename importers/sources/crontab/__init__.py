"""The source `crontab`: HTTP requests of curl and wget become jobs. See importers.registry."""

from importers.sources.crontab.mapping import detects, import_files

__all__ = ["detects", "import_files"]
