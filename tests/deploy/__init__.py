"""Deployment: the image's recipe, the compose file, and the same processes without containers."""
