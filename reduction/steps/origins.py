"""Which frames each pixel of a coadd is of, as numbers of sets of frames."""

from __future__ import annotations

__all__ = ["MEMBER_DTYPE", "Origins"]

from typing import TYPE_CHECKING, Final

import numpy as np

from reduction.steps.blocks import row_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Which frames make up a set of origins.
MEMBER_DTYPE: Final = np.dtype([("origin", "i4"), ("frame", "i4")])


class Origins:
    """Numbers of sets of frames, 0 for that of none.

    A set is told from others by the sum of a random 64-bit number for each of its members
    (Zobrist 1970): two of a million sets are mixed up with a chance of 3e-8.

    Parameters
    ----------
    frames
        How many there are.
    """

    def __init__(self, frames: int) -> None:
        #: The numbers of the frames, shape (frames,).
        self.sign = np.random.default_rng(frames).integers(1, 2**63, frames, dtype=np.uint64)
        self._known: dict[int, int] = {0: 0}
        self._first: list[int] = [-1]
        self._members: list[NDArray[np.intp]] = [np.zeros(0, np.intp)]

    def number(
        self, used: NDArray[np.bool_], frames: NDArray[np.intp], at: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Numbers of sets.

        Parameters
        ----------
        used
            Which of some frames are in each set, shape (n, sets).
        frames
            Which frames these are, shape (n,).
        at
            A pixel that each set is of, index of the flat coadd, shape (sets,).
        """
        sums = np.zeros(used.shape[1], np.uint64)
        for which, frame in zip(used, frames, strict=True):
            np.add(sums, self.sign[frame], out=sums, where=which)
        numbers = np.empty(len(sums), np.int32)
        for k, (name, place) in enumerate(zip(sums.tolist(), at.tolist(), strict=True)):
            number = self._known.setdefault(name, len(self._first))
            if number == len(self._first):
                self._first.append(place)
                self._members.append(frames[used[:, k]])
            elif place < self._first[number]:
                self._first[number] = place
            numbers[k] = number
        return numbers

    def settle(self, origin: NDArray[np.int32]) -> NDArray[np.void]:
        """Number the sets of a coadd in the order of their first pixels, row by row.

        The numbers then say nothing of the pieces that it was made in.

        Parameters
        ----------
        origin
            Numbers as :meth:`number` gave them, shape (ny, nx); those that are put in their place.

        Returns
        -------
        ndarray
            Rows of :data:`MEMBER_DTYPE`, sets in their order.
        """
        self._first[0] = -1  # the set of none stays what it is, wherever its pixels are
        order = np.argsort(self._first)
        numbers = np.empty(len(order), np.int32)
        numbers[order] = np.arange(len(order))
        if (order != np.arange(len(order))).any():
            for rows in row_blocks(origin):
                origin[rows] = numbers[origin[rows]]
        members = [self._members[k] for k in order]
        table = np.empty(sum(map(len, members)), MEMBER_DTYPE)
        table["origin"] = np.repeat(np.arange(len(order)), [len(found) for found in members])
        table["frame"] = np.concatenate(members)
        return table
