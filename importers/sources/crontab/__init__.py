"""The source `crontab`: HTTP requests of curl and wget become jobs."""
