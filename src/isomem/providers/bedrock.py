"""Amazon Bedrock's dialect: requests are signed (AWS Signature Version 4) by `botocore`."""

from __future__ import annotations

from isomem.errors import AuthenticationError, InvalidConfigError
from isomem.options import TEXT, Kind, Option, is_text, or_empty
from isomem.providers.extras import require
from isomem.providers.headers import sendable
from isomem.providers.settings import environment, first_of
from isomem.providers.tables import address_option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isomem.options import Table
    from isomem.providers.settings import Settings

DEFAULT_REGION = "us-west-2"
SERVICE = "bedrock"
ADDRESS_VARIABLES = ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL")
TOKEN_VARIABLE = "AWS_BEARER_TOKEN_BEDROCK"


def _is_region(value: object) -> bool:
    return is_text(value) and value.isascii() and value.replace("-", "").isalnum()


REGION = Kind(
    "the name of a region, such as us-east-1",
    _is_region,
    {"type": "string", "pattern": r"^[A-Za-z0-9-]*[A-Za-z0-9][A-Za-z0-9-]*(?![\s\S])"},
)


def address(configured: object, region: str) -> str:
    """Where Bedrock is: what is configured or in the environment, else the region's own.

    Raises:
        InvalidConfigError: the region is not the name of one: it would become part of an address.
    """
    if not _is_region(region):
        raise InvalidConfigError(
            f"AWS_REGION must be {REGION.words}, got {region!r}",
            error_code="CONFIG_002",
            details={"variable": "AWS_REGION"},
        )
    variables = (environment(name) for name in ADDRESS_VARIABLES)
    return first_of(str(configured or ""), *variables) or _own_address(region)


def _own_address(region: str) -> str:
    suffix = ".cn" if region.startswith("cn-") else ""
    return f"https://bedrock-runtime.{region}.amazonaws.com{suffix}"


KEYS: Table = (
    Option(
        "aws_access_key_id",
        None,
        or_empty(TEXT),
        "the key of an AWS account",
        unset="AWS's own search for credentials",
        variables=("AWS_ACCESS_KEY_ID",),
        secret=True,
    ),
    Option("aws_secret_access_key", None, or_empty(TEXT), "the secret of that key", secret=True),
)
REGION_OPTION = Option(
    "aws_region",
    None,
    or_empty(REGION),
    "the region of the service",
    unset=f"`{DEFAULT_REGION}`",
    variables=("AWS_REGION",),
)
DEFAULT_ADDRESS = _own_address(DEFAULT_REGION)
ADDRESS_OPTION = address_option("aws_bedrock_base_url", DEFAULT_ADDRESS, *ADDRESS_VARIABLES)


def located(settings: Settings) -> str:
    """Fills in the region of the settings, and returns the address.

    Raises:
        InvalidConfigError: as `address`.
    """
    settings.aws_region = first_of(settings.aws_region, environment("AWS_REGION")) or DEFAULT_REGION
    return address(settings.aws_bedrock_base_url, settings.aws_region)


def path(model: str, action: str) -> str:
    """The path of an action, such as "invoke", on a model, which may be named by its ARN."""
    from urllib.parse import quote

    return f"/model/{quote(model, safe='-_.~', errors='surrogatepass')}/{action}"


def authorizer(
    name: str,
    region: str,
    url: str,
    *,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
    profile: str | None = None,
) -> Signature | Token:
    """What authorizes requests: the token of a Bedrock API key if there is one, else signatures.

    Args:
        name: of the provider, for errors.
        region: of the service.
        url: where requests go.
        access_key_id, secret_access_key, session_token: credentials; without the first two, AWS's
            own search finds some, in the environment, in files or of the machine.
        profile: of the files in ~/.aws.

    Raises:
        InvalidConfigError: one half of the credentials is missing, or a token would be sent in the
            clear.
        DependencyError: the extra isomem[bedrock] is not installed.
    """
    token = environment(TOKEN_VARIABLE)
    if token:
        return Token(name, token, url)
    if bool(access_key_id) != bool(secret_access_key):
        raise InvalidConfigError(
            f"{name} needs both halves of the credentials, or neither: aws_access_key_id and "
            "aws_secret_access_key",
            error_code="CONFIG_004",
            details={"provider": name},
        )
    require("botocore", "bedrock", name)
    keys = (access_key_id, secret_access_key, session_token) if access_key_id else None
    return Signature(name, region, keys, profile)


def _has_host(url: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.hostname)


class Token:
    """The token of a Bedrock API key, from the environment."""

    def __init__(self, name: str, token: str, url: str) -> None:
        if not url.lower().startswith("https://"):
            raise InvalidConfigError(
                f"{name}: the token in {TOKEN_VARIABLE} is sent over https only, not to {url}",
                error_code="CONFIG_002",
                details={"provider": name, "variable": TOKEN_VARIABLE},
                suggestion=f"Use an https address, or unset {TOKEN_VARIABLE}",
            )
        self._token = sendable(token, f"{name}: {TOKEN_VARIABLE}")

    def __call__(self, url: str, content: bytes) -> dict[str, str]:  # noqa: ARG002  (the protocol)
        """A header with the token."""
        return {"Authorization": f"Bearer {self._token}"}

    def secrets(self) -> list[str]:
        """The token."""
        return [self._token]


class Signature:
    """Signs requests.

    Args:
        name: of the provider, for errors.
        region: what the signature is valid for.
        keys: access key, secret and session token, or None for AWS's own search.
        profile: of the files in ~/.aws.
    """

    def __init__(
        self,
        name: str,
        region: str,
        keys: tuple[str | None, str | None, str | None] | None,
        profile: str | None,
    ) -> None:
        self._name = name
        self._region = region
        self._keys = keys
        self._profile = profile
        self._credentials: Any = None
        self._frozen: Any = None

    def __call__(self, url: str, content: bytes) -> dict[str, str]:
        """The headers of a signature, valid for some minutes.

        Raises:
            AuthenticationError: there are no credentials, or they cannot be renewed.
        """
        if not _has_host(url):
            return {}  # The request itself will fail, and say why.
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError

        signed = {"Accept": "application/json", "Content-Type": "application/json"}
        request = AWSRequest("POST", url, headers=signed, data=content)
        try:
            self._frozen = self._found().get_frozen_credentials()
            SigV4Auth(self._frozen, SERVICE, self._region).add_auth(request)
        except BotoCoreError as error:
            raise self._refused(str(error)) from error
        return dict(request.headers.items())

    def _found(self) -> Any:
        if self._credentials is None:
            from botocore.credentials import Credentials
            from botocore.session import Session

            own = Credentials(*self._keys) if self._keys else None
            self._credentials = own or Session(profile=self._profile).get_credentials()
        if self._credentials is None:
            raise self._refused("none were found")
        return self._credentials

    def _refused(self, fault: str) -> AuthenticationError:
        return AuthenticationError(
            f"{self._name}: no usable AWS credentials: {fault}",
            details={"provider": self._name},
            suggestion="Set aws_access_key_id and aws_secret_access_key, or sign in to AWS",
        )

    def secrets(self) -> list[str]:
        """The secret and the session token."""
        found = self._frozen
        return [found.secret_key or "", found.token or ""] if found else []
