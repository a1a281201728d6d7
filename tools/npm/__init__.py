"""npm packages that tests and benchmarks use: a folder with a package.json and a lock file for each purpose."""
