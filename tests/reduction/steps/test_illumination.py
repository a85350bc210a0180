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


def middles(left: float, right: float, low: float, high: float) -> list[np.ndarray]:
    """Middles of 20 x 20 parts of a chip."""
    part = (np.arange(20) + 0.5) / 20
    return np.meshgrid(left + part * (right - left), low + part * (high - low))


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


def repeated(
    rng: np.random.Generator,
    stars: int,
    frames: int,
    *,
    dither: float = 0.0,
    bowl: float = 0.0,
    left_out: float = 0.0,
) -> dict:
    """Standards of 0.03 mag in the catalogue, 0.005 a measurement, on exposures of one chip."""
    (left, right), (low, high) = ((side.min(), side.max()) for side in corners("ccd50"))
    frame, star = (which.ravel() for which in np.mgrid[:frames, :stars])
    u, v = rng.uniform((left, low), (right, high), (stars, 2))[star].T
    u, v = np.stack((u, v)) + rng.uniform(-dither, dither, (frames, 2))[frame].T
    seen = (u > left) & (u < right) & (v > low) & (v < high) & (rng.random(len(u)) >= left_out)
    z = 25.0 + rng.normal(0.0, 0.03, stars)[star] + rng.normal(0.0, 0.005, len(star))
    z += bowl * (((u - left) / (right - left) - 0.5) ** 2 + ((v - low) / (high - low) - 0.5) ** 2)
    return {
        "u": u[seen],
        "v": v[seen],
        "zero_points": z[seen],
        "group": frame[seen],
        "star": star[seen],
        "errors": np.full(int(seen.sum()), 0.005),
        "chips": {"ccd50": corners("ccd50")},
    }


@pytest.mark.parametrize(("stars", "frames"), [(30, 12), (60, 3), (100, 4)])
def test_a_catalogues_errors_are_no_illumination_however_often_stars_are_seen(
    stars: int, frames: int
) -> None:
    rng = np.random.default_rng(6)
    found = [fit_illumination(**repeated(rng, stars, frames)) for _ in range(12)]
    # three tests of a thousandth each in a night: 0.04 in 12
    assert sum(one.surface.degree > 0 for one in found) <= 1
    assert max(one.n_stars for one in found) <= stars


@pytest.mark.parametrize(("dither", "better"), [(0.0, 1.0), (250.0, 0.6)])
def test_errors_are_by_stars_and_dithers_tell_more_than_the_catalogue(
    dither: float, better: float
) -> None:
    rng = np.random.default_rng(7)
    (left, right), (low, high) = ((side.min(), side.max()) for side in corners("ccd50"))
    grid = middles(left, right, low, high)
    made, claimed = [], []
    for _ in range(20):
        found = fit_illumination(**repeated(rng, 200, 6, dither=dither, bowl=0.3), degree=2)
        assert found.surface.degree == 2
        s, t = (grid[0] - left) / (right - left) - 0.5, (grid[1] - low) / (high - low) - 0.5
        miss = found.surface.at(*grid) - 0.3 * (s**2 + t**2)
        made.append(np.var(miss))
        claimed.append(found.error)
    # 20 fits of five terms: known to 7 %
    assert np.mean(claimed) == pytest.approx(np.sqrt(np.mean(made)), rel=0.2)
    # five terms of 200 stars of 0.03 mag: 0.03 sqrt(5 / 200) = 0.0047
    assert np.mean(claimed) == pytest.approx(0.0047 * better, rel=0.25)


@pytest.mark.parametrize("dither", [0.0, 12.0, 250.0])
def test_coefficients_of_the_surface_are_off_by_their_errors(dither: float) -> None:
    rng = np.random.default_rng(9)
    (left, right), (low, high) = ((side.min(), side.max()) for side in corners("ccd50"))
    # of the bowl in units of the box, from -1 to 1: 0.3 (u / 2)^2 is 0.075 u^2
    true, pulls, sums = np.array([0.0, 0.0, 0.075, 0.0, 0.075]), [], []
    for _ in range(100):
        found = fit_illumination(
            **repeated(rng, 200, 4, dither=dither, bowl=0.3, left_out=0.1), degree=2
        )
        box = found.surface
        assert (box.x0, box.half_x) == ((left + right) / 2, (right - left) / 2)
        assert (box.y0, box.half_y) == ((low + high) / 2, (high - low) / 2)
        miss = np.array(box.coefficients[1:]) - true
        pulls.append(miss / np.sqrt(np.diag(found.covariance)))
        sums.append(miss @ np.linalg.solve(found.covariance, miss))
    # 500 pulls, nearly independent: their mean is known to 0.045, their scatter to 3.2 %. Stars
    # left out beyond 3 sigma make the scatter found 1 % too small
    assert np.abs(np.mean(pulls)) < 3.0 * 0.045
    assert np.std(pulls) == pytest.approx(1.01, abs=3.0 * 0.032)
    # with what they have in common chi squared of five, whose mean is known to sqrt(10 / 100)
    assert np.mean(sums) == pytest.approx(5.0 * 1.02, abs=3.0 * 0.32)


def flattening(rng: np.random.Generator, flatter: float) -> dict:
    """A bowl over one chip that may get flatter towards the edges: 190 stars on 4 exposures."""
    given = repeated(rng, 190, 4)
    (x0, x1), (y0, y1) = ((side.min(), side.max()) for side in corners("ccd50"))
    r2 = ((given["u"] - (x0 + x1) / 2) ** 2 + (given["v"] - (y0 + y1) / 2) ** 2) / 500.0**2
    given["zero_points"] = given["zero_points"] + 0.15 * r2 - flatter * r2**2
    return given


def test_a_bowl_that_gets_flatter_needs_one_round_term_and_not_nine() -> None:
    rng = np.random.default_rng(11)
    errors, degrees, squares = [], [], []
    (left, right), (low, high) = ((side.min(), side.max()) for side in corners("ccd50"))
    u, v = middles(left, right, low, high)
    r2 = ((u - (left + right) / 2) ** 2 + (v - (low + high) / 2) ** 2) / 500.0**2
    truth = 0.15 * r2 - 0.15 * r2**2
    for _ in range(15):
        given = flattening(rng, 0.15)
        fits = [
            fit_illumination(**given, degree=degree, round_degree=beyond)
            for degree, beyond in ((2, 0), (2, 4), (4, 0))
        ]
        degrees.append([one.surface.degree for one in fits])
        errors.append([one.error for one in fits])
        squares.append([np.var(one.surface.at(u, v) - truth) for one in fits])
    assert np.mean([row[1] == 4 for row in degrees]) > 0.9
    made, claimed = np.sqrt(np.mean(squares, axis=0)), np.mean(errors, axis=0)
    # a bowl alone is wrong by more than it says; with one term more it is not, for little more
    # error, while all terms of the fourth degree make twice that
    assert made[0] > 1.2 * claimed[0]
    assert made[1] == pytest.approx(claimed[1], rel=0.25)
    assert made[1] < 0.9 * made[0]
    assert claimed[1] < 0.75 * claimed[2]


def test_a_round_term_that_is_not_there_is_not_found() -> None:
    rng = np.random.default_rng(12)
    found = [fit_illumination(**flattening(rng, 0.0), degree=2, round_degree=4) for _ in range(20)]
    assert all(one.surface.degree == 2 for one in found)


def test_the_correction_is_0_in_the_mean_over_all_pixels() -> None:
    rng = np.random.default_rng(10)
    found = fit_illumination(**repeated(rng, 300, 1, bowl=0.3), degree=2)
    x0, y0 = CHIPS["ccd50"]
    # pixels whose middles are half a pixel inside of the corners
    factor = illumination_frame(found.surface, SHAPE, ((x0 + 0.5, 1.0, 0.0), (y0 + 0.5, 0.0, 1.0)))
    assert np.mean(-2.5 * np.log10(factor), dtype=np.float64) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("kind", ["errors", "star_errors"])
def test_a_faint_star_counts_as_little_as_its_error_says(kind: str) -> None:
    rng = np.random.default_rng(8)
    given = repeated(rng, 200, 1, bowl=0.3)
    faint = np.arange(200) >= 100
    given[kind] = np.where(faint, 0.3, 0.005)
    given["zero_points"] = given["zero_points"] + np.where(faint, rng.normal(0.0, 0.3, 200), 0.0)
    both = fit_illumination(**given, degree=2, clip=5.0)
    bright = {name: value if name == "chips" else value[~faint] for name, value in given.items()}
    alone = fit_illumination(**bright, degree=2, clip=5.0)
    # stars of 0.3 mag add a hundredth of the weight of those of 0.03
    assert both.error == pytest.approx(alone.error, rel=0.15)


def test_the_formal_error_is_that_of_the_shape_over_a_chip() -> None:
    rng = np.random.default_rng(5)
    chip = {"ccd50": corners("ccd50")}
    (left, right), (low, high) = ((side.min(), side.max()) for side in chip["ccd50"])
    grid = middles(left, right, low, high)

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
