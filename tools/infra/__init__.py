"""Tools for the templates below infra/."""
