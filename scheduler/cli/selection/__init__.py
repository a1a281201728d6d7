"""Commands on all jobs of a selection: their options, and the result for each job. Called by scheduler.cli.commands."""
