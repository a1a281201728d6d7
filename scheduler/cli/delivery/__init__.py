"""Jobs as code: what runs, in a store or behind an API, against a working copy. Called by scheduler.cli.commands."""
