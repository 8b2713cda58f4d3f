"""`make demo-llm`: the reference workflows on a real, small language model, without a key; plumbing, not quality."""
