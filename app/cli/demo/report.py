"""What the demo says, as lines of text."""

from __future__ import annotations

from app.cli.dataset import SOURCE
from app.cli.demo.api import Json
from app.cli.demo.cast import ACCURACY, Stage
from app.cli.demo.figures import Accuracy, Figures, seconds
from app.cli.demo.modes import CalledBack, Polled
from app.cli.draw import draw_timeline

_WHO = {"all": "all", "local": "word list", "model": "model"}


def opening(stage: Stage, started_s: float) -> list[str]:
    """Where it serves."""
    return [
        f"   PostgreSQL, Valkey, one API, two workers and the simulated AI provider serve after {started_s:.1f} s",
        f"   API  {stage.url}",
        f"   docs {stage.url}/docs",
    ]


def waited_lines(job: Json) -> list[str]:
    """The waited job."""
    return [f"   201 with the ended job: {_sentiment(job)}, {_took_ms(job):.0f} ms from submit to end"]


def polled_lines(polled: Polled) -> list[str]:
    """The polled job."""
    output = polled.job["output"]
    return [
        f"   202, then {polled.polls} polls with its ETag, {polled.unchanged} of them 304 without a body",
        f"   verdict: {output['decision']}; three checks at once, {_took_ms(polled.job):.0f} ms from submit to end",
    ]


def called_back_lines(called: CalledBack) -> list[str]:
    """The job with a webhook."""
    return [
        f"   {_sentiment(called.job)}; {called.url} heard of it {called.after_ms:.0f} ms after the end",
        "   signature verified by the standardwebhooks library; refused for a changed body",
    ]


def figure_lines(figures: Figures) -> list[str]:
    """What all reviews came to."""
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(figures.states.items()))
    waits = "  ".join(f"p{percent} {figures.wait_s(percent):.2f} s" for percent in (50, 95, 99))
    return [
        f"   states     {states}",
        f"   rate       {figures.rate:,.0f} items/s ({figures.items:,} in {figures.span_s:.1f} s)",
        f"   waits      {waits} from submit to done",
        f"   decided    {figures.decided.get('local', 0):,} by the local word list, "
        f"{figures.decided.get('model', 0):,} by the model ({figures.calls:,} calls)",
        f"   tokens     {figures.input_tokens:,} in, {figures.output_tokens:,} out",
        f"   cost       ${figures.cost_usd:.9f} at made-up prices",
        f"   accuracy   against the people's ratings ({SOURCE})",
        *(_accuracy_line(name, accuracy) for name, accuracy in figures.accuracy.items()),
        "   The word list is real. The simulated provider's answers are simulated: it was given the people's ratings",
        f"   and told to answer truly for {ACCURACY:.0%} of the sentences. The model's row shows plumbing, not skill.",
    ]


def timeline_lines(called: CalledBack, trace: Json) -> list[str]:
    """The timeline of the job that asked the model and was told by webhook."""
    job_id = called.job["id"]
    return [f"Timeline of {job_id}", *(f"   {line}" for line in draw_timeline(trace).splitlines())]


def closing(stage: Stage, job_id: str, data: str, kept: bool) -> list[str]:
    """Where to look further."""
    trace = f"{stage.url}/v1/jobs/{job_id}/trace"
    if not kept:
        return [
            f"Its trace was at {trace}",
            f"`make demo KEEP=1` leaves everything serving; `laneway up --data {data}` serves these jobs again.",
        ]
    return [
        f"Its trace  {trace}",
        f"           curl -H 'Authorization: Bearer {stage.api_key}' {trace}",
        f"Docs       {stage.url}/docs",
        f"API key    {stage.api_key}",
        "Serving. Ctrl-C stops.",
    ]


def _accuracy_line(name: str, accuracy: Accuracy) -> str:
    if not accuracy.items:
        return f"     {_WHO[name]:9}  none"
    return (
        f"     {_WHO[name]:9}  {accuracy.share:6.1%} same label of three ({accuracy.same:,} of {accuracy.items:,}), "
        f"{accuracy.leaning_share:6.1%} where people lean to a side"
    )


def _sentiment(job: Json) -> str:
    output = job["output"]
    return f"{output['label']} ({output['confidence']:.2f}), decided by the {_WHO[output['decided_by']]}"


def _took_ms(job: Json) -> float:
    return (seconds(job["ended_at"]) - seconds(job["created_at"])) * 1000
