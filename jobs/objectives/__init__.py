"""The arithmetic of objectives: which runs count, the error budget, burn rates and what they mean in words. Pure.

Called by jobs.definition.objectives, scheduler.queries.objectives and scheduler.cli.
"""
