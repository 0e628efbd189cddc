"""What all tests share: the servers that they start, and where test data from outside the project is found."""

pytest_plugins = ["tests.servers", "tests.exchange"]
