"""The routes for uptime, statistics and exports. Used by scheduler.api.app."""
