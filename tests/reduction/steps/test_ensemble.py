"""What light curves are freed from and what they keep, on a drifting field without a flat."""

from __future__ import annotations

__all__: list[str] = []

from types import SimpleNamespace

import numpy as np
import pytest

from reduction.steps.ensemble import relative_photometry
from reduction.steps.ensemble_terms import Orders, Surfaces

pytestmark = pytest.mark.science

EPOCHS = 40


def signal(kind: str, phase: float) -> np.ndarray:
    """A variation of 0.02 mag seen on the night's frames."""
    time = (np.arange(EPOCHS) / EPOCHS + phase) % 1.0
    if kind == "sinus":
        return 0.02 * np.sin(2.0 * np.pi * 2.0 * time)
    if kind == "eclipse":  # V-shaped
        return 0.02 * np.clip(1.0 - np.abs(time - 0.5) / 0.2, 0.0, None)
    return np.where(np.abs(time - 0.5) < 0.15, 0.02, 0.0)  # a transit


def night(
    *,
    stars: int = 400,
    varying: int = 0,
    kind: str = "sinus",
    drift: float = 0.5,
    tilt: float = 0.006,
    bend: float = 0.0,
    response: float = 0.03,
    seed: int = 1,
) -> SimpleNamespace:
    """Stars through clouds with a slope and a bend in each frame, on a chip without a flat."""
    random = np.random.default_rng(seed)
    star, epoch = (grid.ravel() for grid in np.mgrid[:stars, :EPOCHS])
    level = random.uniform(10.0, 14.0, stars)
    photons = 0.002 * 10 ** (0.3 * (level - 10.0))
    field = random.uniform(-1.7, 1.7, (stars, 2))
    moved = np.stack((drift * np.linspace(-1, 1, EPOCHS), 0.1 * np.sin(np.arange(EPOCHS))), 1)
    chip = 0.3 * field[star] + moved[epoch]
    x, y = field[star].T
    mag = level[star] + random.normal(0.0, 0.1, EPOCHS)[epoch]
    slope, curve = random.normal(0, tilt, (EPOCHS, 2)), random.normal(0, bend, EPOCHS)
    mag += slope[epoch, 0] * x + slope[epoch, 1] * y + curve[epoch] * x * y
    mag += response * ((chip**2).sum(axis=1) - chip[:, 0] ** 3 + chip[:, 0] * chip[:, 1])
    mag += random.normal(size=len(star)) * photons[star]
    varies = np.arange(varying) * (stars // max(varying, 1))
    shapes = np.zeros((stars, EPOCHS))
    for one in varies:
        shapes[one] = signal(kind, random.random())
    return SimpleNamespace(
        star=star,
        epoch=epoch,
        mag=mag + shapes[star, epoch],
        err=photons[star],
        surfaces=Surfaces(field[star], chip, np.zeros(len(star), int), Orders(2, 5)),
        varies=varies,
        shapes=shapes,
        stars=stars,
    )


def freed(made: SimpleNamespace, **words) -> tuple:
    """The ensemble, and its magnitudes and errors, shape (stars, epochs)."""
    words = {"surfaces": made.surfaces, **words}
    found = relative_photometry(made.star, made.epoch, made.mag, made.err, **words)
    shape = (made.stars, EPOCHS)
    return found, found.mag.reshape(shape), found.mag_err.reshape(shape)


@pytest.mark.parametrize("kind", ["sinus", "eclipse", "transit"])
def test_a_variable_keeps_its_amplitude_and_constants_scatter_by_their_errors(kind) -> None:
    made = night(stars=300, varying=60, kind=kind)
    found, mag, err = freed(made)
    assert found.orders.field == 1
    assert found.orders.chip >= 3
    amplitude, weight = [], []
    for one in made.varies:
        shape = made.shapes[one] - np.average(made.shapes[one], weights=err[one] ** -2)
        value = (shape * mag[one] / err[one] ** 2).sum()
        weight.append((shape**2 / err[one] ** 2).sum())
        amplitude.append(value / weight[-1])
    # 60 stars of 40 frames, most of 0.003 to 0.02 mag: their mean amplitude is known to 1 %, that
    # of eclipses, which are short, to 1.6 %
    assert sum(weight) ** -0.5 < 0.017
    assert np.average(amplitude, weights=weight) == pytest.approx(1.0, abs=0.03)
    constant = np.setdiff1d(np.arange(made.stars), made.varies)
    mean = np.average(mag[constant], axis=1, weights=err[constant] ** -2)
    pull = (mag[constant] - mean[:, np.newaxis]) / err[constant] * np.sqrt(EPOCHS / (EPOCHS - 1))
    assert 0.9 < pull.std() < 1.1
    bright = np.argsort(mean)[:40]  # of whose errors those of the offsets are a part that counts
    assert 0.9 < pull[bright].std() < 1.1
    assert found.floor < 0.001


def test_a_variable_that_passes_for_a_constant_star_keeps_its_amplitude() -> None:
    # twelve stars, one of which varies by a part of its error: it serves, and could take a
    # twelfth of its own variation away
    depths = []
    for seed in range(40):
        made = night(stars=12, tilt=0.0, response=0.0, seed=seed)
        made.err[:] = 0.01
        noise = np.random.default_rng(seed).normal(0.0, 0.01, (12, EPOCHS))
        noise[0] += 0.5 * signal("transit", 0.0)
        made.mag = 12.0 + noise.ravel()
        found, mag, _ = freed(made, floor=0.0)
        assert found.constant[0]
        inside = signal("transit", 0.0) > 0
        depths.append(mag[0, inside].mean() - mag[0, ~inside].mean())
    # 40 depths, each known to 0.01 (1/12 + 1/28)^0.5 (12/11)^0.5
    assert np.mean(depths) == pytest.approx(0.01, abs=2.5 * 0.0036 / np.sqrt(40))


def test_frames_that_bend_have_a_surface_that_does_and_none_over_the_chip_that_says_the_same() -> (
    None
):
    made = night(stars=250, bend=0.006)
    # drifting, a cubic over the chip is a square over each frame
    assert freed(made)[0].orders == Orders(2, 0)


def test_no_surface_is_taken_off_where_frames_have_none() -> None:
    orders = []
    for seed in range(8):
        made = night(stars=150, tilt=0.0, response=0.0, seed=seed)
        orders.append(freed(made)[0].orders)
    # two standard errors, of some models: now and then by chance
    assert sum(one != Orders() for one in orders) <= 2


def test_a_surface_is_not_taken_off_for_noise_that_stars_have_each_for_itself() -> None:
    # slow noise of each star, not shared: sums of squares of a fit would be lessened by any term
    for seed in range(4):
        made = night(stars=150, tilt=0.0, response=0.0, seed=seed)
        walk = np.random.default_rng(seed).normal(0.0, 0.002, (150, EPOCHS)).cumsum(axis=1)
        made.mag = made.mag + walk.ravel()
        assert freed(made, floor=0.006)[0].orders == Orders()


def test_the_response_of_a_chip_on_which_nothing_moves_is_the_stars() -> None:
    made = night(stars=200, drift=0.0)
    made.surfaces.chip[:] = 0.3 * made.surfaces.field
    made.surfaces.chip[:] += np.random.default_rng(0).normal(0, 2e-4, made.surfaces.chip.shape)
    found, _, err = freed(made)
    assert found.orders.chip == 0
    assert found.orders.field == 1
    own = np.sqrt(np.maximum(err**2 - made.err.reshape(err.shape) ** 2 - found.floor**2, 0.0))
    assert np.median(own) < 0.002


def test_stars_keep_their_levels_whatever_a_chip_does_that_they_hardly_move_on() -> None:
    # dithers of a part in a hundred, and a chip that does much to them: differences tell a slope
    # of it, from which its shape would be guessed
    made = night(stars=250, tilt=0.0, response=0.0)
    moved = made.surfaces.chip - 0.3 * made.surfaces.field
    made.surfaces.chip[:] = 0.3 * made.surfaces.field + 0.01 * moved
    x, y = made.surfaces.chip.T
    made.mag = made.mag + 40.0 * (0.01 * moved[:, 0]) * (x**2 - y**3)
    found, mag, _ = freed(made)
    assert found.orders.chip > 0
    level = np.median(made.mag.reshape(mag.shape), axis=1)
    rest = np.median(mag, axis=1) - level
    assert np.std(rest) < 0.01


def test_a_frame_with_few_stars_does_with_less_and_the_others_keep_their_slopes() -> None:
    made = night(stars=200, response=0.0, tilt=0.02)
    whole, mag, _ = freed(made)
    assert whole.orders == Orders(1, 0)
    poor = (made.epoch == 7) & (made.star % 8 != 0)
    made.mag[poor] = np.nan
    less, other, _ = freed(made)
    assert less.orders == Orders(1, 0)
    assert less.n_constant[7] < 30
    kept = np.arange(EPOCHS) != 7
    change = (other - mag)[:, kept]
    change -= np.nanmean(change, axis=1, keepdims=True)
    # a star less in forty hardly changes the others; a plane taken away would by 0.02 mag
    assert np.nanstd(change) < 0.001


def test_the_best_of_a_few_stars_serves_and_offsets_are_as_good_as_can_be() -> None:
    random = np.random.default_rng(3)
    star, epoch = (grid.ravel() for grid in np.mgrid[:8, :60])
    error = np.array([0.002, *[0.005] * 3, *[0.01] * 4])
    ideal = (1.0 / error**2).sum() ** -0.5
    off, served = [], []
    for _ in range(20):
        offset = random.normal(0.0, 0.1, 60)
        mag = 12.0 + offset[epoch] + random.normal(size=480) * error[star]
        found = relative_photometry(star, epoch, mag, error[star])
        rest = found.offset - offset
        off.append(np.std(rest))
        served.append(found.constant[0])
    assert np.mean(served) > 0.9
    # eight stars tell the errors' floor badly; without the best one it is 2.5 times as much
    assert np.mean(off) < 1.35 * ideal


@pytest.mark.parametrize("chips", [1, 2, 8])
def test_errors_of_stars_of_a_mosaic_are_those_of_planes_at_their_own_place(chips) -> None:
    random = np.random.default_rng(chips)
    star, frame = (grid.ravel() for grid in np.mgrid[: 60 * chips, :20])
    chip = star // 60
    place = np.stack(
        (random.random(60 * chips) + np.arange(60 * chips) // 60, 0 * star[: 60 * chips]), 1
    )
    place[:, 1] = random.random(60 * chips)
    field = (place - place.mean(axis=0)) / place.std(axis=0)
    offset = random.normal(0.0, 0.1, (20, chips))
    tilt = random.normal(0.0, 0.01, 20)
    mag = 12.0 + offset[frame, chip] + tilt[frame] * place[star, 0]
    mag += random.normal(0.0, 0.01, len(star))
    surfaces = Surfaces(field[star], np.zeros((len(star), 2)), chip, Orders(1, 0))
    found = relative_photometry(
        *(star, frame * chips + chip, mag, np.full(len(star), 0.01)), surfaces=surfaces
    )
    table = found.mag.reshape(-1, 20)
    scatter = np.std(table, axis=1, ddof=1)
    # 60 stars of a chip: an offset and slopes cost a part in 20 of the variance
    assert np.median(found.mag_err) == pytest.approx(np.median(scatter), rel=0.05)
    assert np.median(found.mag_err) < 0.0108
    known = offset + tilt[:, np.newaxis] * (np.arange(chips) + 0.5)
    rest = found.offset.reshape(20, chips) - known
    rest -= np.median(rest, axis=0)
    # to the mean place of sixty stars, not the middle of the field
    assert np.std(rest) < 0.003
    assert np.median(found.offset_err) < 0.002


def test_errors_of_faint_stars_that_are_too_large_are_not_taken_off_the_floor() -> None:
    # what is unseen beneath a faint star is in its error, and stays with it
    random, stars, epochs = np.random.default_rng(8), 600, 25
    star, epoch = (grid.ravel() for grid in np.mgrid[:stars, :epochs])
    true = 10 ** np.linspace(-2.5, -1.0, stars)[star]
    said = np.where(true > 0.005, 2.0 * true, true)
    mag = random.normal(0.0, 0.1, epochs)[epoch] + random.normal(0.0, np.hypot(true, 0.006))
    found = relative_photometry(star, epoch, mag, said)
    # 80 stars on 25 epochs tell it to some per cent; it was 0.0046 when all errors counted
    assert found.floor == pytest.approx(0.006, rel=0.1)
