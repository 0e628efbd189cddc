"""What all tests share: the servers that they start, and where test data from outside the project is found."""

import tests.compiled  # noqa: F401 - for what it does
from connector.log import configure

configure("json", "error")

pytest_plugins = [
    "tests.servers",
    "tests.graph",
    "tests.exchange",
    "tests.nextcloud",
    "tests.links",
    "tests.browser",
    "tests.logged",
]
