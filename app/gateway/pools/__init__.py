"""The rate controller of pools: who may call now, in which order, and what is learned from each answer."""
