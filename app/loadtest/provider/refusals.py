"""The error answers of the provider, in OpenAI's words for status, type and code; messages are the simulator's own.

Each dialect puts them into its own words.
"""

from app.loadtest.provider.dialect import Refusal
from app.loadtest.provider.fault import ErrorKind
from app.loadtest.provider.limit import Denial

_INVALID = "invalid_request_error"

BY_KIND: dict[ErrorKind, Refusal] = {
    "http_500": Refusal("http_500", 500, "Simulated server error.", "server_error"),
    "http_503": Refusal("http_503", 503, "Simulated: the service is unavailable.", "service_unavailable"),
    "http_529": Refusal("http_529", 529, "Simulated: the service is overloaded.", "overloaded_error"),
    "insufficient_quota": Refusal(
        "insufficient_quota", 429, "Simulated: the quota is used up.", "insufficient_quota", "insufficient_quota"
    ),
    "rate_limited": Refusal(
        "rate_limited", 429, "Simulated: rate limit reached.", "rate_limit_error", "rate_limit_exceeded"
    ),
    "invalid_request": Refusal("invalid_request", 400, "Simulated: invalid request.", _INVALID, "invalid_value"),
    "context_length_exceeded": Refusal(
        "context_length_exceeded",
        400,
        "Simulated: the messages are longer than the model's context.",
        _INVALID,
        "context_length_exceeded",
        "messages",
    ),
}

# The error in the middle of a stream.
IN_STREAM = Refusal("error_event", 529, "Simulated: overloaded in mid-stream.", "server_error", "overloaded_error")
UNAVAILABLE = Refusal("down_503", 503, "Simulated: the service is down.", "service_unavailable")
WRONG_KEY = Refusal("invalid_api_key", 401, "Incorrect API key provided.", _INVALID, "invalid_api_key")
BODY_TOO_LARGE = Refusal("bad_request", 413, "The request body is too large.", _INVALID, "request_too_large")


def unknown_model(model: str) -> Refusal:
    """The refusal of a model that isn't served."""
    return Refusal("model_not_found", 404, f"The model {model!r} does not exist.", _INVALID, "model_not_found", "model")


def bad_schema(reason: str) -> Refusal:
    """The refusal of a JSON Schema that no value can be made for."""
    message = f"Invalid schema for response_format: {reason}"
    return Refusal("bad_request", 400, message, _INVALID, "invalid_json_schema", "response_format")


def over_limit(denial: Denial, labelled: bool) -> Refusal:
    """The refusal of a call over a limit; unlabelled it doesn't say which limit, as providers that hide them."""
    outcome = f"limit_{denial.dimension}"
    if not labelled:
        return Refusal(outcome, 429, "Rate limit reached.", "rate_limit_error", "rate_limit_exceeded")
    message = f"Rate limit reached for {denial.dimension}: limit {denial.limit}. Try again in {denial.wait_s:.3f}s."
    return Refusal(outcome, 429, message, denial.dimension, "rate_limit_exceeded")


def no_such_route(method: str, path: str) -> Refusal:
    """The refusal of an address that isn't served."""
    return Refusal("bad_request", 404, f"Unknown address: {method} {path}", _INVALID, "unknown_url")
