"""Presets: checks as YAML files with parameters, of the product (jobs/presets) and of users (next to the job files)."""
