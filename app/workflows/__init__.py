"""The catalogue of reference workflows: every name here can be submitted."""

from app.workflows.moderate_post import moderate_post
from app.workflows.review_sentiment import review_sentiment
from app.workflows.summarize_document import summarize_document

__all__ = ["moderate_post", "review_sentiment", "summarize_document"]
