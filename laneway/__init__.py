"""What authors of workflows import: `from laneway import Context, workflow`."""

from app.engine import (
    Cache,
    ChildOutcome,
    Context,
    InputError,
    Policy,
    ProcessingError,
    SystemFault,
    TransientError,
    Window,
    Workflow,
    WorkflowDefinitionError,
    by_complexity,
    by_type,
    content_type,
    workflow,
)

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
