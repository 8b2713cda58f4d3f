"""The life of a job, a verb for each file."""
