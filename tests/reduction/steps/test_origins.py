"""Numbers of the sets of frames that pixels of a coadd are of."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reduction.steps.origins import Origins


def numbered(origins: Origins, sets: list[set[int]], at: list[int], frames: int) -> list[int]:
    used = np.array([[frame in each for each in sets] for frame in range(frames)]).reshape(
        frames, len(sets)
    )
    return origins.number(used, np.arange(frames), np.array(at, np.int64)).tolist()


@settings(deadline=None, derandomize=True, max_examples=80)
@given(st.lists(st.sets(st.integers(0, 5)), min_size=1, max_size=24), st.data())
def test_a_coadds_origins_say_which_frames_each_pixel_is_of_whatever_its_pieces(
    sets, data
) -> None:
    """Each pixel of a row has a set; the row is met in pieces, in any order."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(sets)), max_size=4)) | {len(sets)})
    pieces = list(zip([0, *cuts[:-1]], cuts, strict=True))
    tables = []
    for order in (pieces, data.draw(st.permutations(pieces))):
        origins = Origins(6)
        image = np.empty((1, len(sets)), np.int32)
        for low, high in order:
            image[0, low:high] = numbered(origins, sets[low:high], list(range(low, high)), 6)
        members = origins.settle(image)
        tables.append((image.tolist(), members.tolist()))
        of_origin = {n: set() for n in range(image.max() + 1)}
        for origin, frame in members:
            of_origin[origin].add(frame)
        assert [of_origin[n] for n in image[0].tolist()] == sets
    assert tables[0] == tables[1]


def test_none_is_number_0_and_others_are_numbered_by_their_first_pixels() -> None:
    origins = Origins(3)
    image = np.empty((2, 3), np.int32)
    image[1] = numbered(origins, [{2}, set(), {0, 1}], [3, 4, 5], 3)
    image[0] = numbered(origins, [{0, 1}, {1}, {2}], [0, 1, 2], 3)
    members = origins.settle(image)
    assert image.tolist() == [[1, 2, 3], [3, 0, 1]]
    assert members.tolist() == [(1, 0), (1, 1), (2, 1), (3, 2)]


def test_only_some_frames_need_to_be_looked_at() -> None:
    origins = Origins(9)
    first = origins.number(np.array([[True]]), np.array([7]), np.array([0]))
    again = origins.number(
        np.array([[False, True], [True, True]]), np.array([2, 7]), np.array([1, 2])
    )
    assert first.tolist() == [1]
    assert again.tolist() == [1, 2]
    image = np.array([[1, 1, 2]], np.int32)
    assert origins.settle(image).tolist() == [(1, 7), (2, 2), (2, 7)]


def test_a_coadd_of_nothing_has_no_members() -> None:
    image = np.zeros((2, 2), np.int32)
    origins = Origins(4)
    numbered(origins, [set()] * 4, [0, 1, 2, 3], 4)
    assert len(origins.settle(image)) == 0
    assert not image.any()
