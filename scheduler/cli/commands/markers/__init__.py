"""`markers`: the deployments that charts mark."""
