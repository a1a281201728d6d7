"""Programs for the project's developers, run by ./dev. Never imported by the product."""
