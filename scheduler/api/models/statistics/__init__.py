"""Response models of uptime and statistics. Used by scheduler.api.routes.statistics."""
