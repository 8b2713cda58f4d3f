"""The schema's history; append-only once landed."""
