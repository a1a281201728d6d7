"""The source `blackbox`: a job for each target and module of blackbox_exporter."""
