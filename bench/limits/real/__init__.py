"""The rate controller on the real service, and the ways people do it themselves, against a provider over HTTP."""
