"""`python -m connector.cli` is the command."""

from connector.cli import main

main()
