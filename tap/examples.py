"""Examples of queries: what this archive can be asked, by people who see it for the first time.

Each is declared once; the examples document (DALI-1.1 2.3), the first page and the tests read it.
"""

from __future__ import annotations

__all__ = ["EXAMPLES", "SOMEWHERE", "Example", "Place", "offered"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Place:
    """Where on the sky the archive has something: ICRS, degrees."""

    ra: float
    dec: float


SOMEWHERE: Final = Place(150.0, 2.2)
"""Asked for where the archive does not know yet what it has."""


@dataclass(frozen=True, slots=True)
class Example:
    """A query that teaches something.

    Attributes
    ----------
    name
        Identifier in the document's addresses: ``cone``.
    title, text
        What is asked; what can be learnt from it, and what may be changed.
    query
        ADQL, with ``{ra}`` and ``{dec}`` for a place where the archive has data.
    tables
        What it reads; it is offered where all of them are published.
    language
        Oldest version of ADQL that has what it uses.
    """

    name: str
    title: str
    text: str
    query: str
    tables: tuple[str, ...]
    language: str = "2.0"

    def at(self, place: Place) -> str:
        """Its ADQL for a place."""
        return self.query.format(ra=f"{place.ra:.4f}", dec=f"{place.dec:.4f}")


EXAMPLES: Final = (
    Example(
        "cone",
        "Sources near a position",
        "A cone search: all sources within 3 arcmin of a position, the nearest first. Before the "
        "answer, the source lists of the images that cover this circle are made or remade where "
        "that is needed; those of other places are left alone.",
        """\
SELECT source_id, ra, dec, mag, mag_err, filter,
       DISTANCE(POINT('ICRS', ra, dec), POINT('ICRS', {ra}, {dec})) * 3600 AS arcsec
FROM archive.sources
WHERE 1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', {ra}, {dec}, 0.05))
ORDER BY arcsec""",
        ("archive.sources",),
    ),
    Example(
        "bright",
        "The brightest good sources",
        "TOP cuts the answer after it was sorted. The flags are those of the extraction; 0 says "
        "that nothing speaks against the source.",
        """\
SELECT TOP 20 ra, dec, mag, half_light_radius, elongation, filter
FROM archive.sources
WHERE flags = 0 AND mag IS NOT NULL
ORDER BY mag""",
        ("archive.sources",),
    ),
    Example(
        "lineage",
        "From a source down to the raw files",
        "Everything that went into the brightest source: through the source list it stands in, "
        "back to every raw frame. depth counts the steps, role says as what the frame was used.",
        """\
SELECT a.depth, a.role, r.class_name, r.file_name, r.night, r.filter
FROM archive.ancestors AS a
JOIN archive.raw_frames AS r ON r.object_id = a.ancestor_id
WHERE a.object_id IN (SELECT TOP 1 object_id FROM archive.sources
                      WHERE mag IS NOT NULL ORDER BY mag)
ORDER BY depth, file_name""",
        ("archive.ancestors", "archive.raw_frames", "archive.sources"),
    ),
    Example(
        "variation",
        "The same star on several images",
        "A join of the catalogue with itself by position: pairs of detections within 1 arcsec on "
        "different images, and how their magnitudes differ. With a.filter = 'B' and b.filter = "
        "'V' instead of a.filter = b.filter the difference is a colour.",
        """\
SELECT TOP 100 a.ra, a.dec, a.filter, a.mag AS earlier, b.mag - a.mag AS change,
       b.t_mid - a.t_mid AS days
FROM archive.sources AS a
JOIN archive.sources AS b
  ON 1 = CONTAINS(POINT('ICRS', b.ra, b.dec), CIRCLE('ICRS', a.ra, a.dec, 1.0 / 3600))
WHERE a.object_id < b.object_id AND a.filter = b.filter
  AND 1 = CONTAINS(POINT('ICRS', a.ra, a.dec), CIRCLE('ICRS', {ra}, {dec}, 0.1))
ORDER BY earlier""",
        ("archive.sources",),
    ),
    Example(
        "light-curve",
        "Light curves of the stars that vary most",
        "Stars of a field are followed over all of its frames; what the stars of a frame have in "
        "common is taken off. A star is named by its association and by the list of associations. "
        "stetson is near 0 for a constant star. What was measured on each frame is in "
        "archive.sources AS s, joined ON s.object_id = l.source_list_id AND s.source_id = "
        "l.source_id.",
        """\
SELECT TOP 500 v.association AS star, v.ra, v.dec, v.stetson, l.mjd, l.mag, l.mag_err, l.filter
FROM archive.variables AS v
JOIN archive.light_curves AS l
  ON l.associate_list_id = v.associate_list_id AND l.association = v.association
  AND l.filter = v.filter
WHERE v.n_epochs > 1
ORDER BY stetson DESC, star, mjd""",
        ("archive.variables", "archive.light_curves"),
    ),
    Example(
        "colours",
        "A colour-magnitude diagram",
        "combined_sources has one row for each star of a field, with what all frames together say "
        "of its position and of its magnitude in each band. Take two bands that were observed.",
        """\
SELECT TOP 1000 ra, dec, mag_b - mag_v AS colour, mag_v, n_sources
FROM archive.combined_sources
WHERE mag_v IS NOT NULL
ORDER BY mag_v""",
        ("archive.combined_sources",),
    ),
    Example(
        "flags",
        "What can be wrong with a product",
        "quality_flags and compare_flags are sums of bits; archive.flags has their sentences. "
        "Joined with archive.products ON f.class_name = p.class_name WHERE "
        "1 = MOD(p.quality_flags / f.flag, 2) it says what is wrong with which product.",
        """\
SELECT class_name, flag, name, description
FROM archive.flags
ORDER BY class_name, flag""",
        ("archive.flags",),
    ),
    Example(
        "images",
        "Images of a region",
        "ObsCore, the IVOA's table of observations, by footprint. access_url gives the file; "
        "obs_publisher_did is what SODA and DataLink take as ID.",
        """\
SELECT obs_publisher_did, access_url, instrument_name, t_min, t_exptime, em_min, em_max
FROM ivoa.obscore
WHERE dataproduct_type = 'image'
  AND 1 = INTERSECTS(s_region, CIRCLE('ICRS', {ra}, {dec}, 0.1))
ORDER BY t_min""",
        ("ivoa.obscore",),
    ),
    Example(
        "geometry",
        "Which images hold a point, and how much sky they cover",
        "Polygons are exact on the sphere, also at the poles and across right ascension 0.",
        """\
SELECT obs_id, AREA(s_region) AS square_degrees, s_resolution, s_ra, s_dec
FROM ivoa.obscore
WHERE 1 = CONTAINS(POINT('ICRS', {ra}, {dec}), s_region)""",
        ("ivoa.obscore",),
    ),
    Example(
        "depth",
        "Depth of each image, from its own sources",
        "WITH names a query and uses it like a table. Here sources are counted for each image "
        "first, and the images' own facts are joined to that.",
        """\
WITH counted AS (
  SELECT obs_publisher_did, COUNT(*) AS n, MAX(mag) AS faintest
  FROM archive.sources
  WHERE mag_err < 0.2
  GROUP BY obs_publisher_did
)
SELECT o.obs_id, o.t_exptime, o.s_resolution, c.n, c.faintest
FROM counted AS c
JOIN ivoa.obscore AS o ON o.obs_publisher_did = c.obs_publisher_did
ORDER BY c.faintest DESC""",
        ("archive.sources", "ivoa.obscore"),
        "2.1",
    ),
    Example(
        "statistics",
        "Sizes of sources by filter and camera",
        "Statistics by group: GROUP BY makes one row of each combination, HAVING leaves out those "
        "with too few sources.",
        """\
SELECT instrument_name, filter, COUNT(*) AS n, AVG(half_light_radius) AS mean_radius,
  MIN(mag) AS brightest
FROM archive.sources
WHERE flags = 0
GROUP BY instrument_name, filter
HAVING COUNT(*) > 10
ORDER BY instrument_name, filter""",
        ("archive.sources",),
    ),
    Example(
        "freshness",
        "What the archive can make, and what is not right at this moment",
        "Targets by class and state. A suspect one is looked at, and remade if it is stale, when "
        "a question needs it; reasons says of a failed one why it cannot be made.",
        """\
SELECT class_name, state, COUNT(*) AS n
FROM archive.targets
GROUP BY class_name, state
ORDER BY class_name, state""",
        ("archive.targets",),
    ),
    Example(
        "remade",
        "What was made last, and why",
        "Every publication says which product the archive answered with, since when, until when, "
        "and the reasons for which it was made (JSON). ASOF, a parameter beside QUERY, answers as "
        "of any such moment.",
        """\
SELECT TOP 50 class_name, object_id, published_from, published_to, reasons
FROM archive.publications
ORDER BY published_from DESC""",
        ("archive.publications",),
    ),
    Example(
        "use",
        "What was made from a raw frame",
        "The other way round: everything derived from the first bias frame. This is what is "
        "looked at again when that frame is declared bad.",
        """\
SELECT d.depth, d.descendant_class, COUNT(*) AS n
FROM archive.descendants AS d
WHERE d.object_id IN (SELECT MIN(object_id) FROM archive.raw_frames
                      WHERE class_name = 'RawBiasFrame')
GROUP BY d.depth, d.descendant_class
ORDER BY depth, descendant_class""",
        ("archive.descendants", "archive.raw_frames"),
    ),
    Example(
        "nights",
        "What was observed in each night",
        "Raw frames by night, camera and class; nothing has to be made for this answer.",
        """\
SELECT night, instrument, class_name, COUNT(*) AS n, SUM(exptime) AS seconds
FROM archive.raw_frames
GROUP BY night, instrument, class_name
ORDER BY night, instrument, class_name""",
        ("archive.raw_frames",),
    ),
    Example(
        "columns",
        "Columns by what they mean",
        "TAP_SCHEMA describes all tables. UCDs say what a column is in words that all archives "
        "share: here all magnitudes, wherever they are.",
        """\
SELECT table_name, column_name, unit, ucd, description
FROM tap_schema.columns
WHERE ucd LIKE 'phot.mag%'
ORDER BY table_name, column_index""",
        ("tap_schema.columns",),
    ),
)
"""In the order in which they are best shown."""


def offered(published: Iterable[str]) -> Sequence[Example]:
    """The examples that can be run.

    Parameters
    ----------
    published
        Qualified names of the published tables.
    """
    names = set(published)
    return tuple(example for example in EXAMPLES if names.issuperset(example.tables))
