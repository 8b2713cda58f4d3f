"""The catalogue of reference workflows: every name here can be submitted."""

from app.workflows.moderate_post import moderate_post
from app.workflows.review_sentiment import review_sentiment

__all__ = ["moderate_post", "review_sentiment"]
