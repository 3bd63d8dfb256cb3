"""What a call that reads asks for: its filters, and which memories it is shown."""

from __future__ import annotations

from isomem.contract.arguments import check_filters, refuse_wildcard_ids
from isomem.contract.visibility import Visibility

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.ports.shapes import Ports


def checked_filters(ports: Ports, filters: object) -> dict[str, object]:
    """The filters of a caller, checked for the profile and for the stores.

    Raises:
        ValueError: as `check_filters`; or an id is "*", and the stores may read it as "any id".
    """
    checked = check_filters(filters, ports.profile.read_id)
    if not ports.takes_any_id:
        refuse_wildcard_ids(checked)
    return checked


def visibility_of(ports: Ports, *, show_expired: bool, show_superseded: bool) -> Visibility:
    """Which memories are shown, today and in the profile."""
    fields = ports.profile.EXPIRATION_FIELDS
    return Visibility(
        ports.clock, fields, show_expired=show_expired, show_superseded=show_superseded
    )
