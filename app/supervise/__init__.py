"""The parent process: embedded PostgreSQL and Valkey, API and worker children, restarts, nothing left behind."""
