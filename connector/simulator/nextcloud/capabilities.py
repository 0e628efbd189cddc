"""What the server tells about itself (facts, 3)."""

from typing import Any

from connector.simulator.nextcloud.cloud import Settings
from connector.simulator.nextcloud.tree import forbidden

_VERSION = {"major": 32, "minor": 0, "micro": 1, "string": "32.0.1"}
#: No fact tells more of the delay than its name: it grows here up to 25 seconds.
_LONGEST_DELAY = 25_000


def public(*, allowed: bool, failed: int) -> dict[str, Any]:
    """For everybody."""
    delay = min(100 * 2**failed, _LONGEST_DELAY) if failed else 0
    told = {"bruteforce": {"delay": delay, "allow-listed": allowed}, "app_api": {}, "theming": {"name": "Nextcloud"}}
    return {"version": _VERSION, "capabilities": told}


def capabilities(settings: Settings, *, allowed: bool, failed: int) -> dict[str, Any]:
    """For whoever has logged in."""
    days = settings.link_expiry_days
    return {
        "version": _VERSION,
        "capabilities": {
            "core": {"webdav-root": "remote.php/webdav", "mod-rewrite-working": settings.pretty_links},
            **public(allowed=allowed, failed=failed)["capabilities"],
            "dav": {"chunking": "1.0", "public_shares_chunking": False},
            "files": {
                "chunked_upload": {"max_size": settings.chunk_hint, "max_parallel_count": 5},
                "windows_compatible_filenames": settings.windows_names,
                **forbidden(windows=settings.windows_names),
            },
            "files_sharing": {
                "api_enabled": settings.api_enabled,
                "public": {
                    "enabled": settings.links_enabled,
                    "password": {"enforced": settings.link_password_enforced},
                    "expire_date": {
                        "enabled": days is not None,
                        "days": days or 0,
                        "enforced": settings.link_expiry_enforced,
                    },
                    "expire_date_internal": {
                        "enabled": settings.internal_expiry_days is not None,
                        "days": settings.internal_expiry_days or 0,
                        "enforced": settings.internal_expiry_enforced,
                    },
                    "multiple_links": True,
                    "custom_tokens": settings.custom_tokens,
                    "upload": True,
                },
                "group_sharing": True,
                "sharebymail": {"enabled": True, "password": {"enforced": settings.link_password_enforced}},
            },
            "password_policy": {"minLength": settings.password_length},
        },
    }
