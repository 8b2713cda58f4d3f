"""The rate controller in virtual time: a provider with hidden limits, the very rules of the service, and their bars."""
