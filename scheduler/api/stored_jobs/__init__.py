"""Jobs as resources: routes, models and conditional requests."""
