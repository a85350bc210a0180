"""The texts that make the functions of schema ``vo`` on points and outlines in PostgreSQL.

An *outline* is a polygon made ready: ``{north, left, x1, y1, z1, x2, ...}`` with the corners as
turned unit vectors, ``north`` 1 where the turned north pole is inside, ``left`` the area in
steradian to the left of the outline. It depends on the polygon only, so PostgreSQL computes it
once for a polygon that is a constant.
"""

from __future__ import annotations

__all__ = ["FUNCTIONS", "LOOP", "SQL"]

from typing import Final

#: What a function is that PostgreSQL may put into the query around it.
SQL: Final = "LANGUAGE sql IMMUTABLE PARALLEL SAFE"
#: What a function with loops is.
LOOP: Final = "LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE"

_SCHEMA: Final = """
CREATE SCHEMA IF NOT EXISTS vo;
GRANT USAGE ON SCHEMA vo TO PUBLIC
"""

_HAVERSINE: Final = f"""
CREATE OR REPLACE FUNCTION vo.haversine(ra1 float8, dec1 float8, ra2 float8, dec2 float8)
RETURNS float8 {SQL} STRICT AS $$
SELECT sind((dec2 - dec1) / 2) * sind((dec2 - dec1) / 2)
     + cosd(dec1) * cosd(dec2) * (sind((ra2 - ra1) / 2) * sind((ra2 - ra1) / 2))
$$
"""

_DISTANCE: Final = f"""
CREATE OR REPLACE FUNCTION vo.distance(ra1 float8, dec1 float8, ra2 float8, dec2 float8)
RETURNS float8 {SQL} STRICT AS $$
SELECT degrees(atan2(
    sqrt(cosd(dec2) * sind(ra2 - ra1) * (cosd(dec2) * sind(ra2 - ra1))
       + (cosd(dec1) * sind(dec2) - sind(dec1) * cosd(dec2) * cosd(ra2 - ra1))
       * (cosd(dec1) * sind(dec2) - sind(dec1) * cosd(dec2) * cosd(ra2 - ra1))),
    sind(dec1) * sind(dec2) + cosd(dec1) * cosd(dec2) * cosd(ra2 - ra1)))
$$
"""

_WITHIN: Final = f"""
CREATE OR REPLACE FUNCTION vo.within(
    ra1 float8, dec1 float8, ra2 float8, dec2 float8, radius float8)
RETURNS boolean {SQL} AS $$
SELECT radius >= 0 AND (radius >= 180
    OR vo.haversine(ra1, dec1, ra2, dec2) <= sind(radius / 2) * sind(radius / 2))
$$
"""

_TURNED: Final = f"""
CREATE OR REPLACE FUNCTION vo.turned(ra float8, "dec" float8)
RETURNS float8[] {LOOP} AS $$
DECLARE
    x float8 := cosd("dec") * cosd(ra);
    y float8 := cosd("dec") * sind(ra);
    z float8 := sind("dec");
BEGIN
    RETURN ARRAY[
        -0.2935646612010731 * x - 0.8306645067390708 * y + 0.4730922393549013 * z,
         0.5526625824613112 * x - 0.5512858199463160 * y - 0.6250184114674643 * z,
         0.7799896535474643 * x + 0.0779770605374055 * y + 0.6209152264108622 * z];
END $$
"""

_OUTLINE: Final = f"""
CREATE OR REPLACE FUNCTION vo.outline(polygon float8[])
RETURNS float8[] {LOOP} AS $$
DECLARE
    n int := cardinality(polygon) / 2;
    corners float8[] := '{{}}';
    a float8[];
    b float8[];
    step float8;
    ta float8;
    tb float8;
    turn float8 := 0;
    below float8 := 0;
    side float8;
BEGIN
    FOR i IN 1 .. n LOOP
        corners := corners || vo.turned(polygon[2 * i - 1], polygon[2 * i]);
    END LOOP;
    a := corners[3 * n - 2 : 3 * n];
    ta := a[3] / (1 + sqrt(a[1] * a[1] + a[2] * a[2]));
    FOR i IN 1 .. n LOOP
        b := corners[3 * i - 2 : 3 * i];
        tb := b[3] / (1 + sqrt(b[1] * b[1] + b[2] * b[2]));
        step := atan2(a[1] * b[2] - a[2] * b[1], a[1] * b[1] + a[2] * b[2]);
        turn := turn + step;
        below := below + 2 * atan2(sin(step / 2) * (ta + tb), cos(step / 2) * (1 + ta * tb));
        a := b;
        ta := tb;
    END LOOP;
    IF abs(turn) > pi() THEN
        side := 2 * pi() - below;
        RETURN ARRAY[CASE WHEN sign(turn) * below >= 0 THEN 1 ELSE 0 END, side] || corners;
    END IF;
    side := CASE WHEN below <= 0 THEN -below ELSE 4 * pi() - below END;
    RETURN ARRAY[CASE WHEN abs(below) > 2 * pi() THEN 1 ELSE 0 END, side] || corners;
END $$
"""

#: Variables of a walk around an outline from a to b, and the turned place p.
_ALONG: Final = """\
    p float8[] := vo.turned(ra, "dec");
    px float8 := p[1];
    py float8 := p[2];
    pz float8 := p[3];
    size int := cardinality(outline);
    ax float8 := outline[size - 2];
    ay float8 := outline[size - 1];
    az float8 := outline[size];
    bx float8;
    by_ float8;
    bz float8;"""

_HAS: Final = f"""
CREATE OR REPLACE FUNCTION vo.outline_has(outline float8[], ra float8, "dec" float8)
RETURNS boolean {LOOP} AS $$
DECLARE
{_ALONG}
    inside boolean := outline[1] = 1;
    sa float8 := px * ay - py * ax;
    sb float8;
    across float8;
BEGIN
    FOR i IN 3 .. size BY 3 LOOP
        bx := outline[i];
        by_ := outline[i + 1];
        bz := outline[i + 2];
        sb := px * by_ - py * bx;
        IF (sa < 0) <> (sb < 0) THEN
            across := px * (ax * abs(sb) + bx * abs(sa)) + py * (ay * abs(sb) + by_ * abs(sa));
            IF across > 0 AND (az * abs(sb) + bz * abs(sa)) * (px * px + py * py) > pz * across
            THEN
                inside := NOT inside;
            END IF;
        END IF;
        ax := bx;
        ay := by_;
        az := bz;
        sa := sb;
    END LOOP;
    RETURN inside;
END $$
"""

_BORDER: Final = f"""
CREATE OR REPLACE FUNCTION vo.outline_distance(outline float8[], ra float8, "dec" float8)
RETURNS float8 {LOOP} AS $$
DECLARE
{_ALONG}
    nx float8;
    ny float8;
    nz float8;
    length float8;
    least_ float8 := 180;
    chord float8;
BEGIN
    FOR i IN 3 .. size BY 3 LOOP
        bx := outline[i];
        by_ := outline[i + 1];
        bz := outline[i + 2];
        nx := ay * bz - az * by_;
        ny := az * bx - ax * bz;
        nz := ax * by_ - ay * bx;
        length := sqrt(nx * nx + ny * ny + nz * nz);
        IF length > 0
           AND (ny * az - nz * ay) * px + (nz * ax - nx * az) * py + (nx * ay - ny * ax) * pz > 0
           AND (by_ * nz - bz * ny) * px + (bz * nx - bx * nz) * py + (bx * ny - by_ * nx) * pz > 0
        THEN
            chord := abs(px * nx + py * ny + pz * nz) / length;
            IF chord > 1 THEN chord := 1; END IF;
            least_ := least(least_, degrees(asin(chord)));
        END IF;
        chord := sqrt((px - bx) * (px - bx) + (py - by_) * (py - by_) + (pz - bz) * (pz - bz)) / 2;
        IF chord > 1 THEN chord := 1; END IF;
        least_ := least(least_, 2 * degrees(asin(chord)));
        ax := bx;
        ay := by_;
        az := bz;
    END LOOP;
    RETURN least_;
END $$
"""

_CROSS: Final = f"""
CREATE OR REPLACE FUNCTION vo.outlines_cross(one float8[], other float8[])
RETURNS boolean {LOOP} AS $$
DECLARE
    n int := cardinality(one);
    m int := cardinality(other);
    ax float8 := one[n - 2];
    ay float8 := one[n - 1];
    az float8 := one[n];
    bx float8; by_ float8; bz float8;
    cx float8; cy float8; cz float8;
    dx float8; dy float8; dz float8;
    nx float8; ny float8; nz float8;
    mx float8; my float8; mz float8;
    c float8; d float8; b float8; a float8;
BEGIN
    FOR i IN 3 .. n BY 3 LOOP
        bx := one[i]; by_ := one[i + 1]; bz := one[i + 2];
        nx := ay * bz - az * by_; ny := az * bx - ax * bz; nz := ax * by_ - ay * bx;
        cx := other[m - 2]; cy := other[m - 1]; cz := other[m];
        c := nx * cx + ny * cy + nz * cz;
        FOR j IN 3 .. m BY 3 LOOP
            dx := other[j]; dy := other[j + 1]; dz := other[j + 2];
            d := nx * dx + ny * dy + nz * dz;
            IF c * d < 0 THEN
                mx := cy * dz - cz * dy; my := cz * dx - cx * dz; mz := cx * dy - cy * dx;
                b := mx * bx + my * by_ + mz * bz;
                a := mx * ax + my * ay + mz * az;
                IF c * b > 0 AND c * a < 0 THEN
                    RETURN true;
                END IF;
            END IF;
            cx := dx; cy := dy; cz := dz; c := d;
        END LOOP;
        ax := bx; ay := by_; az := bz;
    END LOOP;
    RETURN false;
END $$
"""

_CORNER_IN: Final = f"""
CREATE OR REPLACE FUNCTION vo.corners_in(polygon float8[], outline float8[])
RETURNS int {LOOP} AS $$
DECLARE
    found int := 0;
BEGIN
    FOR i IN 1 .. cardinality(polygon) BY 2 LOOP
        IF vo.outline_has(outline, polygon[i], polygon[i + 1])
           OR vo.outline_distance(outline, polygon[i], polygon[i + 1]) < 1e-9
        THEN
            found := found + 1;
        END IF;
    END LOOP;
    RETURN found;
END $$
"""

#: In the order in which they can be made; each may be run again.
FUNCTIONS: Final[tuple[str, ...]] = (
    _SCHEMA,
    _HAVERSINE,
    _DISTANCE,
    _WITHIN,
    _TURNED,
    _OUTLINE,
    _HAS,
    _BORDER,
    _CROSS,
    _CORNER_IN,
)
