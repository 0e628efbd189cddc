"""Secrets, which a configuration only ever names: where to find one, never what it is."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connector.config.regular import regular


class Secret(BaseModel):
    """A reference to a secret: an environment variable, a file, or a systemd credential."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: str | None = Field(None, description="name of an environment variable", min_length=1)
    file: Path | None = Field(None, description="path of a file; a line end at its end is left out")
    credential: str | None = Field(None, description="name of a credential that systemd loads (LoadCredential=)")

    @model_validator(mode="before")
    @classmethod
    def _refuse_literals(cls, value: Any) -> Any:
        # The value itself stays out of the message: it may well be the password.
        if not isinstance(value, dict | Secret):
            raise ValueError(
                "a secret is never written here: name it with {env: NAME}, {file: PATH} or {credential: NAME}"
            )
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> "Secret":
        if (self.env, self.file, self.credential).count(None) != len(Secret.model_fields) - 1:  # `{env: }` names none.
            raise ValueError("give exactly one of env, file and credential")
        return self

    def read(self) -> str:
        """The secret itself. Raises LookupError with a sentence for the operator where it is not to be had.

        It is read once: whoever is at work goes on where its file is gone, until the configuration is read anew.
        """
        return self.value

    @cached_property
    def value(self) -> str:
        """See `read`."""
        if self.env is not None:
            return _from_environment(self.env)
        if self.file is not None:
            return _from_file(self.file)
        assert self.credential is not None
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise LookupError(f"credential {self.credential!r}: systemd passed none; add LoadCredential= to the unit")
        return _from_file(Path(folder) / self.credential)


def _from_environment(name: str) -> str:
    value = os.environb.get(os.fsencode(name))
    if not value:
        raise LookupError(f"environment variable {name} is not set")
    try:
        return value.decode()  # Whatever the locale says: a file's is read in the same way.
    except UnicodeDecodeError:
        raise LookupError(f"environment variable {name} is not UTF-8 text") from None


def _from_file(path: Path) -> str:
    try:
        return regular(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise LookupError(f"secret file {path} cannot be read: {reason}") from error
