"""Inverses of equations that leave directions open, against those by eigenvalues."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.steps.smallest import smallest_inverse

EPOCHS, STARS = 30, 50


def equations(seed: int, *, missing: tuple[int, ...] = ()) -> np.ndarray:
    """Normal equations of a level and a slope an epoch, stars' levels eliminated."""
    rng = np.random.default_rng(seed)
    place, weight = rng.normal(size=STARS), rng.uniform(1.0, 1e4, (EPOCHS, STARS))
    weight[list(missing)] = 0.0
    terms = np.stack((np.ones(STARS), place))
    rows = np.zeros((EPOCHS * STARS, 2 * EPOCHS))
    for epoch in range(EPOCHS):
        rows[epoch * STARS : (epoch + 1) * STARS, 2 * epoch : 2 * epoch + 2] = terms.T
    star = np.tile(np.arange(STARS), EPOCHS)
    total = weight.sum(axis=0)
    mean = np.zeros((STARS, 2 * EPOCHS))
    np.add.at(mean, star, rows * weight.ravel()[:, None])
    return rows.T @ (rows * weight.ravel()[:, None]) - mean.T @ (mean / total[:, None])


LABEL = np.tile((0, 1), EPOCHS)


@pytest.mark.parametrize(
    ("missing", "label"),
    [
        ((), LABEL),
        ((3, 4, 17), LABEL),  # epochs without a star
        ((), np.full(2 * EPOCHS, -1)),  # nobody says what is open
        ((), np.where(LABEL == 1, -1, 0)),  # or only a part of it
        ((29,), np.arange(2 * EPOCHS) // 7),  # or what is not
    ],
)
def test_it_is_the_inverse_that_eigenvalues_give(
    missing: tuple[int, ...], label: np.ndarray
) -> None:
    matrix = equations(1, missing=missing)
    kept = matrix.copy()
    found = smallest_inverse(matrix, label)
    expected = np.linalg.pinv(matrix, rcond=1e-11, hermitian=True)
    assert np.array_equal(matrix, kept)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9 * np.abs(expected).max())


def test_no_eigenvalues_are_asked_for_where_what_is_open_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(np.linalg, "pinv")
    assert np.isfinite(smallest_inverse(equations(2, missing=(5,)), LABEL)).all()
    with pytest.raises(AttributeError):
        smallest_inverse(equations(2), np.full(2 * EPOCHS, -1))


def test_equations_that_say_nothing_leave_nothing() -> None:
    assert not smallest_inverse(np.zeros((3, 3)), np.zeros(3, int)).any()
    assert smallest_inverse(np.zeros((0, 0)), np.zeros(0, int)).shape == (0, 0)
