"""From changes to sums: contribution(new image) - contribution(old image), many at a time.

What follows from the shapes of the two images is planned once per pair of shapes. Plain changes are
gathered by their kind and added up in the end; see plain_changes.py. All others are read field by
field; see any_changes.py.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from services.analytics.domain.any_changes import AnyChanges
from services.analytics.domain.cells import CampaignName, Cells
from services.analytics.domain.change_view import BatchView
from services.analytics.domain.frames import Frame, FrameBook
from services.analytics.domain.lists.listed import Names, Wanted
from services.analytics.domain.moves import Planner
from services.analytics.domain.plain_changes import PlainChanges
from services.analytics.domain.tally import Tally


class Folder:
    """Adds changes up. Order and grouping of the changes do not matter."""

    def __init__(self, planner: Planner, book: FrameBook) -> None:
        self._tally = Tally(planner, book)
        self._plain = PlainChanges(self._tally)
        self._any = AnyChanges(self._tally)
        self.change_count = 0

    def add_batch(self, view: Any, data: bytes) -> None:
        """Add a batch.

        Args:
            view: of ``data``, a ``change_view.PlainBatchView``.
            data: a serialized ``MessageChangedBatch``.

        Raises:
            DecodeError: a scope or an act cannot be read. What was added so far is then unusable.
        """
        tenant_id, changes = view.tenant_id, view.changes
        others = self._plain.add(tenant_id, changes)
        self.change_count += len(changes) - len(others)
        if others:
            whole = BatchView.FromString(data).changes
            self.add_changes(tenant_id, (whole[at] for at in others))

    def add_changes(self, tenant_id: str, changes: Iterable[Any]) -> None:
        """Add changes (views of ``MessageChanged``) of one tenant.

        Raises:
            DecodeError: as ``add_batch``.
        """
        for change in changes:
            self.change_count += 1
            self._any.add(tenant_id, change)

    def add_message(self, tenant_id: str, message: Any, cause: int) -> None:
        """Add all that one message (a view of ``MessageSnapshot``) has counted so far.

        Raises:
            DecodeError: as ``add_batch``.
        """
        self.change_count += 1
        self._any.add_message(tenant_id, message, cause)

    @property
    def unresolved(self) -> list[Frame]:
        """Frames that the dictionary has yet to give numbers to, before ``cells`` is asked."""
        return self._tally.unresolved

    @property
    def unnamed(self) -> dict[CampaignName, Wanted]:
        """What lists need numbers for, before ``cells`` is asked."""
        return self._tally.unnamed

    def cells(self, names: Mapping[CampaignName, Names] | None = None) -> dict[CampaignName, Cells]:
        """Return the rows of each campaign. To be called once, when nothing more is added.

        Args:
            names: what stands for what is ``unnamed``; None: the rows of lists are left out.
        """
        return self._tally.cells(names)
