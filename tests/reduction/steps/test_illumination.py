"""Illumination of a mosaic, recovered from the zero points of its stars."""

from __future__ import annotations

__all__: list[str] = []

import numpy as np
import pytest

from reduction.steps.illumination import fit_illumination, illumination_frame

pytestmark = pytest.mark.science

SHAPE = (1000, 500)
CHIPS = {f"ccd{50 + i}": (550.0 * (i % 4) - 1100.0, 1080.0 * (i // 4) - 1080.0) for i in range(8)}


def corners(name: str) -> tuple[np.ndarray, np.ndarray]:
    x0, y0 = CHIPS[name]
    ny, nx = SHAPE
    return x0 + np.array([0.0, nx, nx, 0.0]), y0 + np.array([0.0, 0.0, ny, ny])


def truth(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Light scattered towards the middle, and a tilt: 0.1 mag from middle to edge."""
    r2 = (u**2 + v**2) / 1100.0**2
    return 0.06 - 0.08 * r2 + 0.02 * u / 1100.0 + 0.01 * u * v / 1100.0**2


def standards(
    per_chip: int, *, seed: int = 1, scatter: float = 0.03, gains: bool = True
) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    parts = []
    for index, (x0, y0) in enumerate(CHIPS.values()):
        u = x0 + rng.uniform(0, SHAPE[1], per_chip)
        v = y0 + rng.uniform(0, SHAPE[0], per_chip)
        gain = rng.normal(0.0, 0.1) if gains else 0.0
        z = 24.0 + gain + truth(u, v) + scatter * rng.standard_normal(per_chip)
        z[: per_chip // 30] += rng.normal(0.0, 1.0, per_chip // 30)
        parts.append((u, v, z, np.full(per_chip, index)))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def mean_truth() -> float:
    places = [
        np.meshgrid(np.linspace(*u[:2], 99), np.linspace(*v[1:3], 99))
        for u, v in (corners(name) for name in CHIPS)
    ]
    return float(np.mean([truth(u, v).mean() for u, v in places]))


@pytest.mark.parametrize("gains", [False, True])
def test_illumination_is_recovered_to_five_thousandths(*, gains: bool) -> None:
    u, v, z, group = standards(300, gains=gains)
    if not gains:
        group = np.zeros_like(group)
    found = fit_illumination(
        u, v, z, group, chips={name: corners(name) for name in CHIPS}, degree=3
    )
    middle = mean_truth()
    for name, (x0, y0) in CHIPS.items():
        factor = illumination_frame(found.surface, SHAPE, ((x0, 1.0, 0.0), (y0, 0.0, 1.0)))
        yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
        miss = -2.5 * np.log10(factor) - (truth(x0 + xx, y0 + yy) - middle)
        if gains:  # where every chip has its own zero point, only the shape within it counts
            miss -= miss.mean()
        # 2400 stars of 0.03 mag, nine slopes: 0.03 sqrt(9 / 2400) = 0.002 mag, thrice in corners
        assert np.sqrt((miss**2).mean()) < 0.005, name
        assert np.abs(miss).max() < 0.015
    assert found.scatter == pytest.approx(0.03, rel=0.1)
    assert found.rms_before > found.scatter
    assert found.n_stars < len(z)


def test_gains_of_chips_are_not_taken_for_illumination() -> None:
    u, v, z, group = standards(300)
    found = fit_illumination(u, v, z, group, chips={n: corners(n) for n in CHIPS}, degree=3)
    moved = fit_illumination(
        u, v, z + 0.3 * group, group, chips={n: corners(n) for n in CHIPS}, degree=3
    )
    assert moved.surface.coefficients == pytest.approx(found.surface.coefficients, abs=1e-6)


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("number", [60, 150])
def test_scatter_alone_is_no_illumination(number: int, *, crowded: bool) -> None:
    rng = np.random.default_rng(4)
    chip = {"ccd50": corners("ccd50")}
    (left, right), (low, high) = ((side.min(), side.max()) for side in chip["ccd50"])
    found = 0
    for _ in range(40):
        u, v = rng.uniform((left, low), (right, high), (number, 2)).T
        if crowded:
            middle = (left + right) / 2, (low + high) / 2
            u, v = np.clip(rng.normal(middle, 100.0, (number, 2)), (left, low), (right, high)).T
        z = 25.0 + rng.normal(0.0, 0.05, number)
        fit = fit_illumination(u, v, z, np.arange(number) % 3, chips=chip, degree=3)
        found += fit.surface.degree > 0
    # three tests of a thousandth each: 0.12 in 40; clipped at 3 sigma they are a little weaker
    assert found <= 2


def test_the_formal_error_is_that_of_the_shape_over_a_chip() -> None:
    rng = np.random.default_rng(5)
    chip = {"ccd50": corners("ccd50")}
    (left, right), (low, high) = ((side.min(), side.max()) for side in chip["ccd50"])
    grid = np.meshgrid(np.linspace(left, right, 20), np.linspace(low, high, 20))

    def bowl(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return 0.1 * (((u - left) / (right - left)) ** 2 + ((v - low) / (high - low)) ** 2)

    squares, errors = [], []
    for _ in range(40):
        u, v = rng.uniform((left, low), (right, high), (200, 2)).T
        z = 25.0 + bowl(u, v) + rng.normal(0.0, 0.02, 200)
        fit = fit_illumination(u, v, z, np.zeros(200, np.intp), chips=chip, degree=3)
        assert fit.surface.degree == 2
        miss = fit.surface.at(*grid) - bowl(*grid)
        squares.append(np.var(miss))
        errors.append(fit.error)
    # 40 fits of five terms: known to 5 %
    assert np.mean(errors) == pytest.approx(np.sqrt(np.mean(squares)), rel=0.15)


def test_frame_follows_a_turned_chip() -> None:
    u, v, z, group = standards(100)
    found = fit_illumination(u, v, z, group, chips={n: corners(n) for n in CHIPS}, degree=2)
    to_plane = ((100.0, 0.0, -1.0), (-50.0, 1.0, 0.0))
    factor = illumination_frame(found.surface, (40, 60), to_plane)
    y, x = 30, 50
    expected = 10 ** (-0.4 * found.surface.at(100.0 - y, -50.0 + x))
    assert factor[y, x] == pytest.approx(float(expected), abs=1e-5)


def test_too_few_stars_are_refused_with_their_number() -> None:
    u, v, z, group = standards(1)
    with pytest.raises(ValueError, match="found 8 stars, expected more than"):
        fit_illumination(u, v, z, group, chips={n: corners(n) for n in CHIPS}, degree=3)
