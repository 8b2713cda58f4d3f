"""What is known already: answers, results of steps, outputs and embeddings, in Redis, sealed."""
