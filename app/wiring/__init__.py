"""The only place that builds things: settings in, the parts of a process out."""

from app.wiring.runtime import Runtime, load_catalogue, open_runtime
from app.wiring.worker import WorkerRuntime, open_worker

__all__ = ["Runtime", "WorkerRuntime", "load_catalogue", "open_runtime", "open_worker"]
