"""`connector`, two minutes later than it is: nobody wants to see a demo wait until the links may leave.

In earnest, one minute passes after the files are back (`connector.restore.LASTING`).
"""

from datetime import datetime, timedelta

from connector import cli, service

_real = service.clock


def _clock() -> datetime:
    return _real() + timedelta(minutes=2)


if __name__ == "__main__":
    service.clock = cli.clock = _clock  # type: ignore[attr-defined]  # it was imported there
    cli.main()
