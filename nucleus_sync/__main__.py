"""Lets `python -m nucleus_sync` do what `nucleus-sync` does."""

from nucleus_sync.cli.start import run

if __name__ == "__main__":
    run()
