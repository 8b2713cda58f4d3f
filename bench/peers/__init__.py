"""What others would run: each peer as a careful engineer writes it, an API and a worker."""
