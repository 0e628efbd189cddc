"""Real WebDAV servers on loopback, as fixtures."""
