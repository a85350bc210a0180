"""What the demonstration tells of many frames as one: a field, its coadd, its catalogue."""

from __future__ import annotations

__all__ = ["tell_of_a_field"]

from typing import TYPE_CHECKING, Final

from reduction.fields import FieldSpec, declare_field
from reduction.operate import edit

if TYPE_CHECKING:
    from astropy.table import Table

    from reduction.archive import Archive
    from vo_service.demo_story import Story, Teller

_FIELD: Final = FieldSpec("demo", 150.1, 2.2, 0.01, instruments=("simulated",))
_COADD: Final = (
    "SELECT n_frames, n_detectors, limiting_mag, exptime_total, seeing "
    "FROM archive.coadded_regridded_frame WHERE field = 'demo' AND filter = 'V'"
)
_DEPTH: Final = (
    "SELECT MAX(limiting_mag) AS deepest FROM archive.source_list WHERE instrument = 'simulated'"
)
_CUTOUT_RADIUS: Final = 0.002


def tell_of_a_field(story: Story, archive: Archive, teller: Teller) -> None:
    """Declare a field; ask for its coadd; lose a frame, and get it back."""
    whole = declare_field(archive, _FIELD, why="demonstration")
    ny, nx = whole.shape
    teller.say(
        f"       vo-service field add {whole.name} --circle {whole.ra:g} {whole.dec:g} "
        f"{whole.radius:g}: a grid of {nx} x {ny} pixels"
    )
    coadd = _coadd(story)
    teller.verify(
        f"TAP made one image of {coadd['n_frames'][0]} frames of {coadd['n_detectors'][0]} chips "
        f"and two nights, {coadd['exptime_total'][0]:.0f} s in all",
        holds=bool(coadd["n_frames"][0] > coadd["n_detectors"][0] > 1),
    )
    single = story.ask(_DEPTH).content
    deeper = float(coadd["limiting_mag"][0]) - float(single["deepest"][0])
    teller.verify(f"it reaches {deeper:.1f} mag deeper than the best frame", holds=deeper > 0.3)
    _cut(story, teller)
    _lose_a_frame(story, archive, teller, int(coadd["n_frames"][0]))


def _coadd(story: Story) -> Table:
    return story.ask(_COADD).content


def _cut(story: Story, teller: Teller) -> None:
    """Cut a piece out of the coadd."""
    table = story.ask(
        "SELECT obs_publisher_did FROM ivoa.obscore "
        "WHERE instrument_name = 'simulated' AND calib_level = 3"
    ).content
    dataset = str(table["obs_publisher_did"][0])
    answer = story.cutout(dataset, (_FIELD.ra, _FIELD.dec, _CUTOUT_RADIUS))
    pixels = answer.content
    teller.verify(
        "an image search finds it, and SODA cuts a piece out of its middle",
        holds=min(pixels.shape[-2:]) > 1,
    )


def _lose_a_frame(story: Story, archive: Archive, teller: Teller, frames: int) -> None:
    raw = story.numbers(
        "SELECT TOP 1 object_id FROM archive.raw_frames WHERE class_name = 'RawScienceFrame' "
        "AND instrument = 'simulated' AND is_valid >= 1 ORDER BY mjd_obs"
    )[0]
    edit(archive, raw, "is_valid", 0, why="demonstration: a satellite, somebody says")
    without = int(_coadd(story)["n_frames"][0])
    edit(archive, raw, "is_valid", 1, why="demonstration: taken back")
    again = _coadd(story)
    teller.verify(
        f"without raw frame {raw} it is of {without} frames; with it again of "
        f"{again['n_frames'][0]}, as it was before: found, not made",
        holds=without == frames - 1 and int(again["n_frames"][0]) == frames,
    )
