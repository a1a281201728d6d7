"""Jobs that are defined over the API and stored."""
