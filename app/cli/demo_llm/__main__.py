"""`python -m app.cli.demo_llm`."""

import typer

from app.cli.demo_llm.command import demo_llm

if __name__ == "__main__":
    typer.run(demo_llm)
