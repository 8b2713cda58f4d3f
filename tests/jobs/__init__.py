"""The verbs of a job."""
