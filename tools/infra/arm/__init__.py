"""ARM JSON of Bicep files, and what a deployment of it would send. Called by `./dev infra` and by tests/infra/azure."""
