"""The durable record: the only room that speaks SQL."""
