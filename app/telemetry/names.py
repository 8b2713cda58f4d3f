"""Names of spans and their attributes; `gen_ai.*` is still "Development" in OpenTelemetry, so it changes only here."""

from __future__ import annotations

KIND = "laneway.kind"
JOB_ID = "laneway.job.id"
WORKFLOW = "laneway.workflow"
VERSION = "laneway.workflow.version"
ATTEMPT = "laneway.attempt"
LANE = "laneway.lane"
STEP = "laneway.step"
TRY = "laneway.try"
STATUS = "laneway.status"
VIA = "laneway.via"
COST_USD = "laneway.cost_usd"
LIMITER_WAIT_S = "laneway.limiter.wait_s"
ERROR_TYPE = "error.type"
GEN_AI_OPERATION = "gen_ai.operation.name"
GEN_AI_PROVIDER = "gen_ai.provider.name"
GEN_AI_MODEL = "gen_ai.request.model"
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
HTTP_STATUS = "http.response.status_code"

# What the HTTP server's own spans may carry; not the query, which may hold anything.
_HTTP = (
    "http.request.method", "http.route", "network.protocol.version", "server.address", "server.port", "url.path",
    "url.scheme",
)  # fmt: skip
# What an exported span may carry, whoever made it; anything else is dropped.
EXPORTED = frozenset({
    KIND, JOB_ID, WORKFLOW, VERSION, ATTEMPT, LANE, STEP, TRY, STATUS, VIA, COST_USD, LIMITER_WAIT_S, ERROR_TYPE,
    GEN_AI_OPERATION, GEN_AI_PROVIDER, GEN_AI_MODEL, GEN_AI_INPUT_TOKENS, GEN_AI_OUTPUT_TOKENS, HTTP_STATUS, *_HTTP,
})  # fmt: skip


def exported_name(kind: str, name: str) -> str:
    """A span's name in the export, where it stands without its kind; names of attempts and calls are whole."""
    return name if kind in ("attempt", "call") else f"{kind} {name}"
