"""The commands `drift`, `export-jobs`, `test` and `gate`: see scheduler.cli.delivery."""
