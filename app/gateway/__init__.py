"""The one door to a model: routes, limits, calls, prices."""
