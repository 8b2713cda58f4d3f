"""What may be spent, what is set aside and what was spent."""
