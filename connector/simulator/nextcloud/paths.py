"""Where an account's files and its unfinished uploads are found."""

ROOT_OF_FILES, ROOT_OF_UPLOADS = "/remote.php/dav/files/", "/remote.php/dav/uploads/"
ROOT_OF_OLD = "/remote.php/webdav"


def owned(path: str) -> tuple[str, str]:
    """Whose files a path leads to, and where among them; "" for those of whoever asks."""
    if path.startswith(ROOT_OF_FILES):
        owner, _, rest = path.removeprefix(ROOT_OF_FILES).partition("/")
        return owner, rest
    return "", path.removeprefix(ROOT_OF_OLD)
