"""What an author of workflows touches; the rest of this room performs it."""

from app.domain.errors import InputError, ProcessingError, SystemFault, TransientError
from app.engine.children import ChildOutcome
from app.engine.context import Context
from app.engine.policies import Cache, Policy, Window
from app.engine.routing import by_complexity, by_type, content_type
from app.engine.workflow import Workflow, WorkflowDefinitionError, workflow

__all__ = [
    "Cache",
    "ChildOutcome",
    "Context",
    "InputError",
    "Policy",
    "ProcessingError",
    "SystemFault",
    "TransientError",
    "Window",
    "Workflow",
    "WorkflowDefinitionError",
    "by_complexity",
    "by_type",
    "content_type",
    "workflow",
]
