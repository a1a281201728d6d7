"""The source `kuma`: the database of Uptime Kuma (1.x and 2.x), and its JSON backup (1.x)."""
