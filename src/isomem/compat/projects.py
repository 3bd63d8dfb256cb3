"""`mem0.client.project`: the settings and the members of a project of a service."""

from __future__ import annotations

from abc import ABC, abstractmethod, update_abstractmethods

from isomem.compat.hosted import Ask, blocking, given, later, made_of
from isomem.compat.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.compat.hosted import Steps

_SETTINGS = (
    "custom_instructions",
    "custom_categories",
    "retrieval_criteria",
    "multilingual",
    "decay",
)


class ProjectConfig(Record):
    """Which project of the service."""

    extra = "forbid"
    org_id: str | None = None
    project_id: str | None = None
    user_email: str | None = None


class BaseProject(ABC):
    """A project, and what every kind of it can do.

    Args:
        client: of httpx, with the address and the headers of the service.
        config: which project; in place of the following three.
        org_id, project_id, user_email: which project.
    """

    def __init__(
        self,
        client: object,
        config: ProjectConfig | None = None,
        org_id: str | None = None,
        project_id: str | None = None,
        user_email: str | None = None,
    ) -> None:
        self._client = client
        self.config = config or ProjectConfig(
            org_id=org_id, project_id=project_id, user_email=user_email
        )

    @property
    def org_id(self) -> str | None:
        """The organization."""
        return self.config.org_id

    @property
    def project_id(self) -> str | None:
        """The project."""
        return self.config.project_id

    @property
    def user_email(self) -> str | None:
        """The address of the person that the key belongs to."""
        return self.config.user_email

    def _validate_org_project(self) -> None:
        if not (self.config.org_id and self.config.project_id):
            raise ValueError("org_id and project_id must be set to access project operations")

    def _prepare_params(self, kwargs: dict[str, object] | None = None) -> dict[str, object]:
        own = {"org_id": self.config.org_id, "project_id": self.config.project_id}
        if any(own.values()) and not all(own.values()):
            raise ValueError("Please provide both org_id and project_id")
        return given({**(kwargs or {}), **(own if all(own.values()) else {})})

    def _prepare_org_params(self, kwargs: dict[str, object] | None = None) -> dict[str, object]:
        if not self.config.org_id:
            raise ValueError("org_id must be set for organization-level operations")
        return given({**(kwargs or {}), "org_id": self.config.org_id})

    @abstractmethod
    def get(self, fields: list[str] | None = None) -> object:
        """The settings of the project."""

    @abstractmethod
    def create(self, name: str, description: str | None = None) -> object:
        """Makes another project."""

    @abstractmethod
    def update(
        self,
        custom_instructions: str | None = None,
        custom_categories: list[str] | None = None,
        retrieval_criteria: list[dict[str, object]] | None = None,
    ) -> object:
        """Changes the settings."""

    @abstractmethod
    def delete(self) -> object:
        """Removes the project."""

    @abstractmethod
    def get_members(self) -> object:
        """The people who may use it."""

    @abstractmethod
    def add_member(self, email: str, role: str = "READER") -> object:
        """Lets somebody use it."""

    @abstractmethod
    def update_member(self, email: str, role: str) -> object:
        """Changes what somebody may do."""

    @abstractmethod
    def remove_member(self, email: str) -> object:
        """Ends that."""


def _path(project: BaseProject, below: str = "") -> str:
    config = project.config
    return f"/api/v1/orgs/organizations/{config.org_id}/projects/{config.project_id}/{below}"


def _check_role(role: str) -> None:
    if role not in ("READER", "OWNER"):
        raise ValueError("Role must be either 'READER' or 'OWNER'")


class _Calls(BaseProject):
    """What each call sends; its arguments, checks and result are mem0's."""

    def get(self, fields: list[str] | None = None) -> Steps:
        """The settings of the project."""
        params = self._prepare_params({"fields": fields})
        return (yield Ask("get", _path(self), params=params))

    def create(self, name: str, description: str | None = None) -> Steps:
        """Makes another project."""
        if not self.config.org_id:
            raise ValueError("org_id must be set to create a project")
        path = f"/api/v1/orgs/organizations/{self.config.org_id}/projects/"
        return (yield Ask("post", path, json=given({"name": name, "description": description})))

    def update(
        self,
        custom_instructions: str | None = None,
        custom_categories: list[str] | None = None,
        retrieval_criteria: list[dict[str, object]] | None = None,
        multilingual: bool | None = None,
        decay: bool | None = None,
    ) -> Steps:
        """Changes the settings."""
        values = (
            custom_instructions, custom_categories, retrieval_criteria, multilingual, decay,
        )  # fmt: skip
        changes = given(dict(zip(_SETTINGS, values, strict=True)))
        if not changes:
            raise ValueError(
                f"At least one parameter must be provided for update: {', '.join(_SETTINGS)}"
            )
        return (yield Ask("patch", _path(self), json=self._prepare_params(changes)))

    def delete(self) -> Steps:
        """Removes the project."""
        return (yield Ask("delete", _path(self)))

    def get_members(self) -> Steps:
        """The people who may use it."""
        return (yield Ask("get", _path(self, "members/")))

    def add_member(self, email: str, role: str = "READER") -> Steps:
        """Lets somebody use it."""
        _check_role(role)
        return (yield Ask("post", _path(self, "members/"), json={"email": email, "role": role}))

    def update_member(self, email: str, role: str) -> Steps:
        """Changes what somebody may do."""
        _check_role(role)
        return (yield Ask("put", _path(self, "members/"), json={"email": email, "role": role}))

    def remove_member(self, email: str) -> Steps:
        """Ends that."""
        return (yield Ask("delete", _path(self, "members/"), params={"email": email}))


@update_abstractmethods
@made_of(_Calls, blocking, "_client")
class Project(BaseProject):
    """A project of a service. Takes the same arguments.

    Raises:
        ValueError: the organization or the project is not named.
    """

    def __init__(
        self,
        client: object,
        config: ProjectConfig | None = None,
        org_id: str | None = None,
        project_id: str | None = None,
        user_email: str | None = None,
    ) -> None:
        super().__init__(client, config, org_id, project_id, user_email)
        self._validate_org_project()


@update_abstractmethods
@made_of(_Calls, later, "_client")
class AsyncProject(BaseProject):
    """`Project` for event loops."""

    def __init__(
        self,
        client: object,
        config: ProjectConfig | None = None,
        org_id: str | None = None,
        project_id: str | None = None,
        user_email: str | None = None,
    ) -> None:
        super().__init__(client, config, org_id, project_id, user_email)
        self._validate_org_project()
