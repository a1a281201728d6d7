"""The commands for uptime, statistics and exports."""
