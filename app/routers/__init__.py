"""HTTP in, HTTP out: one call inward for each endpoint."""
