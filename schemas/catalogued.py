"""The texts that make the functions of ``vo`` behind ADQL's RAND and the catalogued functions.

Catalogue of ADQL User Defined Functions 1.2; :mod:`tap.adql.udfs` says which calls they serve.
"""

from __future__ import annotations

# ruff: noqa: S608  # no word of these texts comes from outside

__all__ = ["FUNCTIONS"]

from typing import Final

from schemas.sphere_functions import LOOP as _LOOP
from schemas.sphere_functions import SQL as _SQL

_RANDOM: Final = f"""
CREATE OR REPLACE FUNCTION vo.random(seed int8)
RETURNS float8 {_SQL} STRICT AS $$
SELECT (hashint8extended(seed, 0) & 9007199254740991)::float8 / 9007199254740992::float8
$$
"""

_HASWORD: Final = f"""
CREATE OR REPLACE FUNCTION vo.hasword(haystack text, needle text)
RETURNS int {_SQL} STRICT AS $$
SELECT coalesce(bool_and(haystack ~* ('\\m' || word || '\\M')), true)::int
FROM regexp_split_to_table(needle, '\\W+') AS word WHERE word <> ''
$$
"""

_SEXAGESIMAL: Final = f"""
CREATE OR REPLACE FUNCTION vo.sexagesimal(text_ text, first text)
RETURNS float8 {_LOOP} AS $$
DECLARE
    part text[] := coalesce(
        regexp_match(text_, '^\\s*([+-]?)(\\d{{1,3}}):(\\d{{1,2}}):(\\d{{1,2}}(?:\\.\\d*)?)\\s*$'),
        regexp_match(text_, '^\\s*([+-]?)(\\d{{2}})(\\d{{2}})(\\d{{2}}(?:\\.\\d*)?)\\s*$'),
        regexp_match(text_, '^\\s*([+-]?)(\\d{{1,3}})' || first
            || '(\\d{{1,2}})m(\\d{{1,2}}(?:\\.\\d*)?)s\\s*$', 'i'));
    size float8 := part[2]::float8 + part[3]::float8 / 60 + part[4]::float8 / 3600;
BEGIN
    IF part[3]::int >= 60 OR part[4]::float8 >= 60 OR (first = 'h' AND size >= 24) OR size > 360
    THEN
        RETURN NULL;
    END IF;
    RETURN CASE WHEN part[1] = '-' THEN -size ELSE size END;
END $$
"""

# ESA SP-1200 (1997) volume 1, 1.5.5: a star moves on a straight line at a constant speed. The
# parameters are those of the catalogue, 4.740470463533349 km/s is one au a Julian year.
_EPOCH_PROP: Final = """
CREATE OR REPLACE FUNCTION vo.epoch_prop(ra float8, "dec" float8, parallax float8, pmra float8,
    pmdec float8, velocity float8, ref_epoch float8, out_epoch float8, whole boolean)
RETURNS float8[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    mas CONSTANT float8 := radians(1) / 3600000;
    au CONSTANT float8 := 4.740470463533349;
    still boolean := whole AND (pmra IS NULL OR pmdec IS NULL);
    a float8 := CASE WHEN still THEN 0 ELSE coalesce(pmra, 0) END * mas;
    d float8 := CASE WHEN still THEN 0 ELSE coalesce(pmdec, 0) END * mas;
    r float8 := coalesce(velocity * parallax / au, 0) * mas;
    t float8 := out_epoch - ref_epoch;
    m2 float8 := a * a + d * d;
    f2 float8 := 1 / (1 + 2 * r * t + (m2 + r * r) * t * t);
    f float8 := sqrt(f2);
    sa float8 := sind(ra); ca float8 := cosd(ra);
    sd float8 := sind("dec"); cd float8 := cosd("dec");
    grown float8 := 1 + r * t;
    mx float8; my float8; mz float8; x float8; y float8; z float8; across float8;
    lon float8;
    lat float8;
BEGIN
    IF ra IS NULL OR "dec" IS NULL OR t IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'a position or an epoch to be '
            'propagated is NULL: leave such rows out with IS NOT NULL';
    END IF;
    mx := -sa * a - sd * ca * d; my := ca * a - sd * sa * d; mz := cd * d;
    x := f * (cd * ca * grown + mx * t);
    y := f * (cd * sa * grown + my * t);
    z := f * (sd * grown + mz * t);
    across := sqrt(x * x + y * y);
    lon := CASE WHEN across > 0 THEN atan2d(y, x) ELSE ra END;
    IF lon < 0 THEN lon := lon + 360; END IF;
    lat := atan2d(z, across);
    IF m2 = 0 THEN
        lon := ra; lat := "dec";
    END IF;
    IF NOT whole THEN
        RETURN ARRAY[lon, lat];
    END IF;
    mx := f * f2 * (mx * grown - cd * ca * m2 * t);
    my := f * f2 * (my * grown - cd * sa * m2 * t);
    mz := f * f2 * (mz * grown - sd * m2 * t);
    RETURN ARRAY[lon, lat, coalesce(parallax * f, 'NaN'),
        CASE WHEN still THEN 'NaN' ELSE (cosd(lon) * my - sind(lon) * mx) / mas END,
        CASE WHEN still THEN 'NaN' ELSE
            (cosd(lat) * mz - sind(lat) * (cosd(lon) * mx + sind(lon) * my)) / mas END,
        CASE WHEN velocity IS NULL THEN 'NaN' WHEN coalesce(parallax, 0) = 0 THEN velocity
            ELSE f * (r + (m2 + r * r) * t) / mas * au / parallax END];
END $$
"""

_HISTOGRAM: Final = """
CREATE OR REPLACE FUNCTION vo.count_in(counts int[], val float8, low float8, high float8, bins int)
RETURNS int[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    bin int;
BEGIN
    IF counts IS NULL THEN
        IF bins IS NULL OR bins NOT BETWEEN 1 AND 10000 OR low IS NULL OR NOT low < high THEN
            RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE =
                'a histogram takes a lower limit below the upper one and 1 to 10000 bins';
        END IF;
        counts := array_fill(0, ARRAY[bins + 2]);
    END IF;
    bin := CASE WHEN val IS NULL OR val = 'NaN' THEN 0 WHEN val = high THEN bins
                ELSE width_bucket(val, low, high, bins) END;
    counts[bin + 1] := counts[bin + 1] + 1;
    RETURN counts;
END $$;
CREATE OR REPLACE AGGREGATE vo.histogram(float8, float8, float8, int)
    (SFUNC = vo.count_in, STYPE = int[], PARALLEL = SAFE)
"""

#: In the order in which they can be made.
FUNCTIONS: Final[tuple[str, ...]] = (_RANDOM, _HASWORD, _SEXAGESIMAL, _EPOCH_PROP, _HISTOGRAM)
