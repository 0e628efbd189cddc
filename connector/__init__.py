"""A groupware bridge: attachments leave Exchange mailboxes for an on-premises store, and links take their place."""

__version__ = "0.1.0"
