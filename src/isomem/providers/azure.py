"""Azure OpenAI's dialect: the deployment is in the address, the key in a header of its own.

Without a key, `azure-identity` finds credentials, in the environment, of a managed identity or of
the Azure CLI.
"""

from __future__ import annotations

from isomem.errors import AuthenticationError, InvalidConfigError
from isomem.options import TEXT, Kind, Option, is_dict, nearest, or_empty
from isomem.providers.extras import require
from isomem.providers.headers import HEADERS, KEY, sendable, sendable_headers
from isomem.providers.settings import environment, first_of
from isomem.providers.tables import ADDRESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

SCOPE = "https://cognitiveservices.azure.com/.default"
PLACEHOLDER_KEY = "your-api-key"


def _names_a_deployment(value: object) -> bool:
    if not is_dict(value):
        return False
    given = dict(value)
    return all(or_empty(kind).accepts(given.get(name)) for name, kind in _KINDS.items())


_KINDS = {
    "api_key": KEY,
    "azure_deployment": TEXT,
    "azure_endpoint": ADDRESS,
    "api_version": TEXT,
    "default_headers": HEADERS,
}
DEPLOYMENT = Kind(
    f"a dict of {', '.join(_KINDS)}",
    _names_a_deployment,
    {
        "type": "object",
        "properties": {name: or_empty(kind).schema for name, kind in _KINDS.items()},
    },
)


def azure_option(prefix: str) -> Option:
    """`azure_kwargs`; the variables of the environment begin with `prefix`."""
    return Option(
        "azure_kwargs",
        None,
        or_empty(DEPLOYMENT),
        "the deployment: a dict of `azure_endpoint`, `azure_deployment`, `api_version`, `api_key` "
        "and `default_headers`",
        unset="no default",
        variables=(f"{prefix}_AZURE_ENDPOINT", "AZURE_OPENAI_ENDPOINT"),
        secret=True,
    )


class Deployment:
    """Where a deployment is, and what each request to it has.

    Args:
        name: of the provider, for errors.
        given: `azure_kwargs`.
        prefix: of the environment variables: "EMBEDDING" or "LLM".
        model: names the deployment if nothing else does.

    Attributes:
        base_url: its address.
        headers: the key, and the configured headers.
        query: the version of the API.
        authorizer: proves who asks if there is no key; else None.

    Raises:
        InvalidConfigError: there is no address, deployment or version.
        DependencyError: there is no key, and the extra isomem[azure] is not installed.
    """

    __slots__ = ("authorizer", "base_url", "headers", "query")

    def __init__(
        self, name: str, given: Mapping[str, Any] | None, prefix: str, model: str | None
    ) -> None:
        kwargs = dict(given or {})
        _warn_of_unknown(name, kwargs)
        self.base_url = _address(name, kwargs, prefix, model)
        version = _either(kwargs, "api_version", f"{prefix}_AZURE_API_VERSION")
        version = version or environment("OPENAI_API_VERSION")
        if not version:
            raise _missing(name, "api_version", f"{prefix}_AZURE_API_VERSION")
        self.query = {"api-version": version}
        self.headers = sendable_headers(kwargs.get("default_headers"), f"{name}: default_headers")
        key = _either(kwargs, "api_key", f"{prefix}_AZURE_OPENAI_API_KEY")
        self.authorizer: AzureIdentity | None = None
        if key and key != PLACEHOLDER_KEY:
            self._add_key(sendable(key, f"{name}: api_key"))
        else:
            require("azure.identity", "azure", f"{name} without an API key")
            self.authorizer = AzureIdentity(name)

    def _add_key(self, key: str) -> None:
        if "api-key" not in {header.lower() for header in self.headers}:
            self.headers["api-key"] = key


def _either(kwargs: Mapping[str, Any], name: str, variable: str) -> str | None:
    return first_of(str(kwargs.get(name) or ""), environment(variable))


def _warn_of_unknown(name: str, kwargs: Mapping[str, Any]) -> None:
    """mem0 passes over keys that it does not know; so do we, but not silently."""
    for key in kwargs:
        if key not in _KINDS:
            from isomem import log

            close = nearest(key, _KINDS)
            hint = f"; did you mean {close!r}?" if close else ""
            log.warning("%s: azure_kwargs has an unknown key, %r, ignored%s", name, key, hint)


def _address(name: str, kwargs: Mapping[str, Any], prefix: str, model: str | None) -> str:
    endpoint = _either(kwargs, "azure_endpoint", f"{prefix}_AZURE_ENDPOINT")
    endpoint = endpoint or environment("AZURE_OPENAI_ENDPOINT")
    if not endpoint:
        raise _missing(name, "azure_endpoint", f"{prefix}_AZURE_ENDPOINT")
    deployment = _either(kwargs, "azure_deployment", f"{prefix}_AZURE_DEPLOYMENT") or model
    if not deployment:
        raise _missing(name, "azure_deployment", f"{prefix}_AZURE_DEPLOYMENT")
    return f"{endpoint.rstrip('/')}/openai/deployments/{deployment}"


def _missing(name: str, key: str, variable: str) -> InvalidConfigError:
    return InvalidConfigError(
        f"{name} needs {key}: set {variable} in the environment, or {key} in azure_kwargs",
        error_code="CONFIG_004",
        details={"provider": name, "variable": variable},
        suggestion=f"Set {variable}",
    )


class AzureIdentity:
    """Tokens of Azure's directory. The library keeps one until it expires.

    Args:
        name: of the provider, for errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._token_of: Callable[[], str] | None = None
        self._last = ""

    def __call__(self, url: str, content: bytes) -> dict[str, str]:  # noqa: ARG002  (the protocol)
        """A header with a valid token.

        Raises:
            AuthenticationError: Azure gives none.
        """
        from azure.core.exceptions import AzureError

        try:
            self._last = self._provider()()
        except AzureError as error:
            raise AuthenticationError(
                f"{self._name}: no API key, and Azure gives no token: {error}",
                details={"provider": self._name},
                suggestion="Set an API key, or sign in, for instance by `az login`",
            ) from error
        return {"Authorization": f"Bearer {self._last}"}

    def _provider(self) -> Callable[[], str]:
        if self._token_of is None:
            from azure.identity import DefaultAzureCredential, get_bearer_token_provider

            self._token_of = get_bearer_token_provider(DefaultAzureCredential(), SCOPE)
        return self._token_of

    def secrets(self) -> list[str]:
        """The last token."""
        return [self._last]
