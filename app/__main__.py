"""`python -m app` and the `laneway` command."""

from app.cli import main

if __name__ == "__main__":
    main()
