"""Files, environment and vault turned into frozen objects. Called by scheduler.app and the CLI."""
