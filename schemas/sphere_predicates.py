"""The texts that make the functions of ``vo`` on whole regions, and ADQL's remainder.

They stand on those of :mod:`schemas.sphere_functions`; :mod:`schemas.sphere` says what all is.
"""

from __future__ import annotations

__all__ = ["FUNCTIONS"]

from typing import Final

from schemas.sphere_functions import LOOP as _LOOP
from schemas.sphere_functions import SQL as _SQL

_CONTAINS: Final = f"""
CREATE OR REPLACE FUNCTION vo.contains(inner_ float8[], outer_ float8[])
RETURNS boolean {_LOOP} AS $$
DECLARE
    corners int := cardinality(inner_);
    inner_radius float8 := coalesce(inner_[3], 0);
    radius float8 := coalesce(outer_[3], 0);
    outline float8[];
    mine float8[];
BEGIN
    IF cardinality(outer_) <= 3 THEN
        IF corners <= 3 THEN
            RETURN radius >= 180 OR (radius >= inner_radius AND vo.within(
                inner_[1], inner_[2], outer_[1], outer_[2], radius - inner_radius));
        END IF;
        IF radius >= 90 THEN
            mine := vo.outline(inner_);
            RETURN radius >= 180 OR NOT (
                vo.outline_has(mine, outer_[1] + 180, -outer_[2])
                OR vo.outline_distance(mine, outer_[1] + 180, -outer_[2]) < 180 - radius);
        END IF;
        FOR i IN 1 .. corners BY 2 LOOP
            IF NOT vo.within(inner_[i], inner_[i + 1], outer_[1], outer_[2], radius) THEN
                RETURN false;
            END IF;
        END LOOP;
        RETURN true;
    END IF;
    outline := vo.outline(outer_);
    IF corners <= 3 THEN
        RETURN vo.outline_has(outline, inner_[1], inner_[2])
            AND (inner_radius = 0
                 OR vo.outline_distance(outline, inner_[1], inner_[2]) >= inner_radius);
    END IF;
    IF vo.corners_in(inner_, outline) < corners / 2 THEN
        RETURN false;
    END IF;
    mine := vo.outline(inner_);
    IF vo.outlines_cross(mine, outline) THEN
        RETURN false;
    END IF;
    FOR i IN 1 .. cardinality(outer_) BY 2 LOOP
        IF vo.outline_has(mine, outer_[i], outer_[i + 1])
           AND vo.outline_distance(mine, outer_[i], outer_[i + 1]) > 1e-9
        THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END $$
"""

_INTERSECTS: Final = f"""
CREATE OR REPLACE FUNCTION vo.intersects(one float8[], other float8[])
RETURNS boolean {_LOOP} AS $$
DECLARE
    outline float8[];
    mine float8[];
BEGIN
    IF cardinality(one) > cardinality(other) THEN
        RETURN vo.intersects(other, one);
    END IF;
    IF cardinality(other) <= 3 THEN
        RETURN vo.within(one[1], one[2], other[1], other[2],
                         coalesce(one[3], 0) + coalesce(other[3], 0));
    END IF;
    outline := vo.outline(other);
    IF cardinality(one) <= 3 THEN
        RETURN vo.outline_has(outline, one[1], one[2])
            OR (coalesce(one[3], 0) > 0
                AND vo.outline_distance(outline, one[1], one[2]) <= one[3]);
    END IF;
    mine := vo.outline(one);
    RETURN vo.outlines_cross(mine, outline)
        OR vo.corners_in(one, outline) > 0
        OR vo.corners_in(other, mine) > 0;
END $$
"""

_AREA: Final = f"""
CREATE OR REPLACE FUNCTION vo.area(region float8[])
RETURNS float8 {_LOOP} AS $$
DECLARE
    side float8;
BEGIN
    IF cardinality(region) <= 3 THEN
        side := sind(least(coalesce(region[3], 0), 180) / 2);
        RETURN 4 * pi() * side * side * degrees(1) * degrees(1);
    END IF;
    side := (vo.outline(region))[2];
    RETURN least(side, 4 * pi() - side) * degrees(1) * degrees(1);
END $$
"""

_CENTROID: Final = f"""
CREATE OR REPLACE FUNCTION vo.centroid(region float8[])
RETURNS float8[] {_LOOP} AS $$
DECLARE
    o float8[];
    size int;
    ax float8; ay float8; az float8;
    bx float8; by_ float8; bz float8;
    nx float8; ny float8; nz float8;
    length float8;
    weight float8;
    sx float8 := 0; sy float8 := 0; sz float8 := 0;
    x float8; y float8; z float8;
    ra float8;
BEGIN
    IF cardinality(region) <= 3 THEN
        RETURN region[1:2];
    END IF;
    o := vo.outline(region);
    size := cardinality(o);
    ax := o[size - 2]; ay := o[size - 1]; az := o[size];
    FOR i IN 3 .. size BY 3 LOOP
        bx := o[i]; by_ := o[i + 1]; bz := o[i + 2];
        nx := ay * bz - az * by_; ny := az * bx - ax * bz; nz := ax * by_ - ay * bx;
        length := sqrt(nx * nx + ny * ny + nz * nz);
        IF length > 0 THEN
            weight := atan2(length, ax * bx + ay * by_ + az * bz) / length;
            sx := sx + weight * nx; sy := sy + weight * ny; sz := sz + weight * nz;
        END IF;
        ax := bx; ay := by_; az := bz;
    END LOOP;
    IF o[2] > 2 * pi() THEN
        sx := -sx; sy := -sy; sz := -sz;
    END IF;
    x := -0.2935646612010731 * sx + 0.5526625824613112 * sy + 0.7799896535474643 * sz;
    y := -0.8306645067390708 * sx - 0.5512858199463160 * sy + 0.0779770605374055 * sz;
    z :=  0.4730922393549013 * sx - 0.6250184114674643 * sy + 0.6209152264108622 * sz;
    ra := degrees(atan2(y, x));
    IF ra < 0 THEN ra := ra + 360; END IF;
    RETURN ARRAY[ra, degrees(atan2(z, sqrt(x * x + y * y)))];
END $$
"""

_BOX: Final = f"""
CREATE OR REPLACE FUNCTION vo.box(ra float8, "dec" float8, width float8, height float8)
RETURNS float8[] {_LOOP} AS $$
DECLARE
    corners float8[] := '{{}}';
    a float8;
    b float8;
    x float8;
    y float8;
    z float8;
    lon float8;
BEGIN
    IF width <= 0 OR width >= 180 OR height <= 0 OR height >= 180 THEN
        RETURN NULL;
    END IF;
    FOR i IN 1 .. 4 LOOP
        a := tand(width / 2) * CASE WHEN i IN (2, 3) THEN 1 ELSE -1 END;
        b := tand(height / 2) * CASE WHEN i IN (3, 4) THEN 1 ELSE -1 END;
        x := cosd("dec") * cosd(ra) - a * sind(ra) - b * sind("dec") * cosd(ra);
        y := cosd("dec") * sind(ra) + a * cosd(ra) - b * sind("dec") * sind(ra);
        z := sind("dec") + b * cosd("dec");
        lon := degrees(atan2(y, x));
        IF lon < 0 THEN lon := lon + 360; END IF;
        corners := corners || ARRAY[lon, degrees(atan2(z, sqrt(x * x + y * y)))];
    END LOOP;
    RETURN corners;
END $$
"""

_REACH: Final = f"""
CREATE OR REPLACE FUNCTION vo.ra_reach(latitude float8, radius float8, at_pole float8)
RETURNS float8 {_SQL} AS $$
SELECT CASE WHEN abs(latitude) + radius >= 89.999999 THEN at_pole
            ELSE degrees(asin(sind(radius) / cosd(latitude))) + 1e-9 END
$$
"""

_MODULO: Final = f"""
CREATE OR REPLACE FUNCTION vo.modulo(x float8, y float8)
RETURNS float8 {_SQL} STRICT AS $$
SELECT x - y * trunc(x / y)
$$
"""

# The cap around a region, {ra, dec, radius}: radius 180 where no useful one is found.
_CAP: Final = f"""
CREATE OR REPLACE FUNCTION vo.cap(region float8[])
RETURNS float8[] {_LOOP} AS $$
DECLARE
    n int := cardinality(region);
    x float8 := 0; y float8 := 0; z float8 := 0;
    lon float8; lat float8;
    farthest float8 := 0;
BEGIN
    IF n <= 3 THEN
        RETURN region[1:2] || coalesce(region[3], 0);
    END IF;
    FOR i IN 1 .. n - 1 BY 2 LOOP
        x := x + cosd(region[i + 1]) * cosd(region[i]);
        y := y + cosd(region[i + 1]) * sind(region[i]);
        z := z + sind(region[i + 1]);
    END LOOP;
    lon := atan2d(y, x);
    lat := atan2d(z, sqrt(x * x + y * y));
    IF lon < 0 THEN lon := lon + 360; END IF;
    FOR i IN 1 .. n - 1 BY 2 LOOP
        farthest := greatest(farthest, vo.distance(lon, lat, region[i], region[i + 1]));
    END LOOP;
    IF farthest > 80 OR x * x + y * y + z * z < 1e-12 * n THEN
        RETURN ARRAY[lon, lat, 180];
    END IF;
    RETURN ARRAY[lon, lat, farthest * (1 + 1e-9) + 1e-9];
END $$
"""

_STCS: Final = """
CREATE OR REPLACE FUNCTION vo.stcs(region float8[])
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT CASE WHEN cardinality(region) > 3 THEN 'POLYGON ICRS ' WHEN cardinality(region) = 3
    THEN 'CIRCLE ICRS ' ELSE 'POSITION ICRS ' END || array_to_string(region, ' ')
$$
"""

#: In the order in which they can be made.
FUNCTIONS: Final[tuple[str, ...]] = (
    _CONTAINS,
    _INTERSECTS,
    _AREA,
    _CENTROID,
    _BOX,
    _REACH,
    _MODULO,
    _CAP,
    _STCS,
)
