"""Variances of values that repeat, found without writing a matrix of all rows: as with it."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.steps.grouped import Grouped, eliminate
from reduction.steps.repeats import Repeats, freedom, repeats_of

ROUNDS, LEAST, SETTLED, ENOUGH = 4, 1e-4, 0.02, 10

#: Stars, exposures, chips, terms, dithers in units of the focal plane, part of stars seen on each.
CASES = {
    "dithered mosaic": (40, 6, 2, 9, 0.3, 0.8),
    "chips that share no star": (120, 4, 12, 5, 0.3, 0.9),
    "seen once": (40, 1, 2, 5, 0.3, 1.0),
    "few repeats": (60, 3, 4, 9, 0.3, 0.5),
    "zero points alone": (40, 6, 2, 0, 0.3, 0.8),
    "never moved": (30, 12, 1, 5, 0.0, 1.0),
    "hardly moved": (50, 4, 3, 9, 0.003, 0.8),
    "too few to tell": (12, 2, 1, 2, 0.3, 0.6),
    "frames in two parts": (40, 4, 2, 5, 0.0, 0.9),
}


def night(name: str) -> dict[str, np.ndarray]:
    """Zero points of stars on the chips of some exposures."""
    stars, frames, chips, terms, dither, seen = CASES[name]
    rng = np.random.default_rng(len(name))
    frame, star = (which.ravel() for which in np.mgrid[:frames, :stars])
    some = rng.random(len(frame)) < seen
    frame, star = frame[some], star[some]
    place = rng.uniform(-1.0, 1.0, (stars, 2))
    u, v = (place[star] + rng.uniform(-dither, dither, (frames, 2))[frame]).T
    columns = [u, v, u * u, u * v, v * v, u**3, u * u * v, u * v * v, v**3][:terms]
    chip = np.clip(((place[star, 0] + 1.0) / 2.0 * chips).astype(int), 0, chips - 1)
    error, shared = rng.uniform(0.003, 0.02, len(star)), rng.uniform(0.005, 0.03, stars)[star]
    z = 25.0 + 0.1 * chip + 0.05 * sum(columns, np.zeros(len(star)))
    z += rng.normal(0.0, 0.03, stars)[star] + error * rng.normal(0.0, 1.3, len(star))
    return {
        "group": frame * chips + chip,
        "terms": np.stack(columns, axis=1) if columns else np.zeros((len(star), 0)),
        "values": z,
        "error": error,
        "star": star,
        "shared": shared,
    }


def whole(made: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The design and the stars, a column for each."""
    groups, stars = (np.eye(int(made[n].max()) + 1)[made[n]] for n in ("group", "star"))
    return np.hstack((groups, made["terms"])), stars[:, stars.any(axis=0)]


def residual(design: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """P of ``y' P y``, the sum of squares that generalised least squares leave."""
    normal = np.linalg.pinv(design.T @ inverse @ design, hermitian=True)
    return inverse - inverse @ design @ normal @ design.T @ inverse


def within(made: dict[str, np.ndarray]) -> float:
    """Scatter of repeats beyond their errors, each star a column of its own."""
    design, stars = whole(made)
    both, extra = np.hstack((design, stars)), LEAST
    free = len(both) - np.linalg.matrix_rank(both, tol=1e-8)
    if free < ENOUGH:
        return LEAST
    for _ in range(ROUNDS):
        variance, before = made["error"] ** 2 + extra**2, extra
        root = 1.0 / np.sqrt(variance)
        best = np.linalg.lstsq(both * root[:, None], made["values"] * root, rcond=1e-10)[0]
        squares = (made["values"] - both @ best) ** 2
        low, high = LEAST, float(np.sqrt(squares.sum())) + LEAST
        for _ in range(50):
            extra = (low + high) / 2.0
            more = (squares / (made["error"] ** 2 + extra**2)).sum() > free
            low, high = (extra, high) if more else (low, extra)
        if abs(extra - before) < SETTLED * extra:
            break
    return extra


def expected(made: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    """Own and common variances and the freedom of these, by matrices of all rows and stars."""
    design, stars = whole(made)
    own = made["error"] ** 2 + within(made) ** 2
    known = made["shared"][stars.argmax(axis=0)] ** 2
    extra = 0.0
    for _ in range(ROUNDS):
        left = residual(design, np.diag(1.0 / (own + stars @ (known + extra))))
        squares = made["values"] @ left @ made["values"]
        alone = np.trace(left @ (np.diag(own) + stars @ np.diag(known) @ stars.T))
        before, extra = extra, max((squares - alone) / np.trace(stars.T @ left @ stars), 0.0)
        if abs(extra - before) <= SETTLED * extra:
            break
    common = known + extra
    inverse = np.linalg.inv(np.diag(own) + stars @ np.diag(common) @ stars.T)
    each = np.diag(stars.T @ inverse @ stars)
    information = np.square(stars.T @ residual(design, inverse) @ stars).sum()
    return own, common, max(information / np.mean(each**2), 1.0)


@pytest.mark.parametrize("name", CASES)
def test_variances_are_those_of_matrices_of_all_rows(name: str) -> None:
    made = night(name)
    design = Grouped(made["group"], made["terms"])
    found = repeats_of(design, made["values"], made["error"], made["star"], made["shared"])
    own, common, free = expected(made)
    # what is bisected is found to 1e-9 of the largest, sums of squares about 25 mag to 1e-11
    assert found.own == pytest.approx(own, rel=1e-6)
    assert found.common == pytest.approx(common, rel=1e-6)
    assert freedom(design, found) == pytest.approx(free, rel=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_fit_is_that_of_the_whole_design(name: str) -> None:
    made = night(name)
    design = Grouped(made["group"], made["terms"])
    repeats = repeats_of(design, made["values"], made["error"], made["star"], made["shared"])
    columns, number = whole(made)[0], made["terms"].shape[1]
    made_independent = repeats.whitened(columns), repeats.whitened(made["values"])
    best, _, rank, _ = np.linalg.lstsq(*made_independent, rcond=1e-10)
    squares = np.square(made_independent[1] - made_independent[0] @ best).sum()
    covariance = np.linalg.pinv(made_independent[0].T @ made_independent[0], hermitian=True)
    groups = columns.shape[1] - number
    reduced = eliminate(design, made["values"], repeats)
    found = reduced.fit()
    assert found.rank == rank
    assert found.squares == pytest.approx(squares, rel=1e-9)
    assert found.slopes == pytest.approx(best[groups:], abs=1e-11)
    assert found.covariance == pytest.approx(covariance[groups:, groups:], rel=1e-6, abs=1e-15)
    there = columns[:, :groups].any(axis=0)
    assert found.constants[there] == pytest.approx(best[:groups][there], abs=1e-11)
    assert design.at(found) == pytest.approx(columns @ best, abs=1e-11)
    # and of its first terms alone
    few = made_independent[0][:, : groups + number // 2]
    plain = np.linalg.lstsq(few, made_independent[1], rcond=1e-10)[0]
    squares = np.square(made_independent[1] - few @ plain).sum()
    assert reduced.fit(number // 2).squares == pytest.approx(squares, rel=1e-9)


def test_a_small_chip_far_from_the_middle_loses_nothing_to_rounding() -> None:
    # cubics over a hundredth of the plane: the smallest of nine directions is 1e-7 of the largest,
    # which sums of their squares would lose
    rng = np.random.default_rng(3)
    u, v = rng.uniform(0.99, 1.0, (2, 200))
    terms = np.stack([u, v, u * u, u * v, v * v, u**3, u * u * v, u * v * v, v**3], axis=1)
    x, y = 200.0 * (u - 0.995), 200.0 * (v - 0.995)
    values = 1e3 + x - 2.0 * y * y + x * y * y
    alone = Repeats(np.arange(200), np.ones(200), np.zeros(200))
    design = Grouped(np.arange(200) % 2, terms)
    found = eliminate(design, values, alone).fit()
    columns = np.hstack((np.eye(2)[design.group], terms))
    best = np.linalg.lstsq(columns, values, rcond=1e-12)[0]
    assert found.rank == 11
    # coefficients of 1e6 that cancel: either way
    miss, usual = design.at(found) - values, columns @ best - values
    assert np.abs(miss).max() < max(3.0 * np.abs(usual).max(), 1e-8)


def test_what_groups_and_stars_tell_altogether_is_no_rank() -> None:
    # a star moves with its frame: a tilt cannot be told from the frames' own zero points
    rng = np.random.default_rng(4)
    frame, star = (which.ravel() for which in np.mgrid[:5, :20])
    u = rng.uniform(-1.0, 1.0, 20)[star] + 0.1 * frame
    free = Repeats(star, np.full(100, 1e-4), np.full(20, np.inf))
    design = Grouped(frame, np.stack([u, u * u], axis=1))
    fit = eliminate(design, 25.0 + 0.3 * u * u, free).fit()
    assert fit.rank == 4 + 1
    left = free.whitened(25.0 + 0.3 * u * u - design.at(fit))
    assert left == pytest.approx(np.zeros(100), abs=1e-9)
