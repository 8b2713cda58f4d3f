"""Properties: what holds for any order of acts."""
