"""Google's dialects: a key in a header of its own, or tokens made by `google-auth`."""

from __future__ import annotations

import os

from isomem.errors import AuthenticationError, InvalidConfigError
from isomem.providers.extras import require
from isomem.providers.headers import sendable
from isomem.providers.settings import environment, first_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GEMINI_URL = "https://generativelanguage.googleapis.com"
GEMINI_VERSION = "v1beta"
GEMINI_KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
CREDENTIALS_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
PROJECT_VARIABLE = "GOOGLE_CLOUD_PROJECT"


def key_header(name: str, api_key: str | None) -> dict[str, str]:
    """The header with the key of a Gemini API, which Google gives for free."""
    return {"x-goog-api-key": sendable(api_key, f"{name}: api_key")} if api_key else {}


def model_path(model: str) -> str:
    """A model's name as the Gemini API has it in its paths, such as "models/gemini-2.0-flash"."""
    return model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"


class Credentials:
    """Tokens for Google Cloud, renewed before they expire.

    Args:
        name: of the provider, for errors.
        path: of a file with credentials; if there is none, that in GOOGLE_APPLICATION_CREDENTIALS;
            else those of the machine.

    Raises:
        DependencyError: the extra isomem[vertexai] is not installed.
    """

    def __init__(self, name: str, path: str | None) -> None:
        require("google.auth", "vertexai", name)
        self._name = name
        self._path = path if path and os.path.isfile(path) else None
        self._found: tuple[Any, str | None] | None = None
        if path and not self._path:
            from isomem import log

            log.warning("%s: there is no file %s; other credentials are looked for", name, path)

    def __call__(self, url: str, content: bytes) -> dict[str, str]:  # noqa: ARG002  (the protocol)
        """A header with a valid token.

        Raises:
            AuthenticationError: there are no credentials, or Google gives no token for them.
        """
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request

        credentials = self._loaded()[0]
        try:
            if not credentials.valid:
                credentials.refresh(Request())
        except GoogleAuthError as error:
            raise self._refused(f"Google gives no token: {error}") from error
        return {"Authorization": f"Bearer {credentials.token}"}

    def project(self) -> str:
        """The project that the credentials are for, or that in GOOGLE_CLOUD_PROJECT.

        It may look for the machine's credentials on the network.

        Raises:
            AuthenticationError: there are no credentials.
            InvalidConfigError: nothing names a project.
        """
        project = first_of(self._loaded()[1], environment(PROJECT_VARIABLE))
        if project:
            return project
        raise InvalidConfigError(
            f"{self._name} needs a project: set {PROJECT_VARIABLE} in the environment",
            error_code="CONFIG_004",
            details={"provider": self._name, "variable": PROJECT_VARIABLE},
        )

    def _loaded(self) -> tuple[Any, str | None]:
        if self._found is None:
            self._found = self._load()
        return self._found

    def _load(self) -> tuple[Any, str | None]:
        import google.auth
        from google.auth.exceptions import GoogleAuthError

        try:
            return _read(self._path) if self._path else google.auth.default(scopes=[CLOUD_SCOPE])
        except (GoogleAuthError, OSError, ValueError) as error:
            raise self._refused(str(error)) from error

    def _refused(self, fault: str) -> AuthenticationError:
        return AuthenticationError(
            f"{self._name}: no usable Google credentials: {fault}",
            details={"provider": self._name},
            suggestion=f"Name a file with credentials in the config or in {CREDENTIALS_VARIABLE}",
        )

    def secrets(self) -> list[str]:
        """The last token."""
        return [self._found[0].token or ""] if self._found else []


def _read(path: str) -> tuple[Any, str | None]:
    """The credentials in a file, and their project."""
    import json

    from google.oauth2 import credentials, service_account

    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    if not isinstance(content, dict):
        raise ValueError(f"{path} does not hold a JSON object")
    if content.get("type") == "authorized_user":
        user = credentials.Credentials.from_authorized_user_info(content, scopes=[CLOUD_SCOPE])
        return user, None
    made = service_account.Credentials.from_service_account_info(content, scopes=[CLOUD_SCOPE])
    return made, content.get("project_id")
