"""The source `crontab`: HTTP requests of curl and wget become jobs. Called by config.importers.running."""

from config.importers.sources.crontab.mapping import detects, import_files

__all__ = ["detects", "import_files"]
