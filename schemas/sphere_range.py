"""SQL that tells whether a polygon meets a coordinate range: two meridians and two parallels.

Ranges are no shape of ADQL, but one of SIA-2.0 2.1.1 and SODA-1.0 3.3.1; their sides of constant
latitude are no great circles. The function needs those of :mod:`schemas.sphere`.
"""

from __future__ import annotations

__all__ = ["FUNCTIONS"]

from typing import Final

FUNCTIONS: Final = (
    """
CREATE OR REPLACE FUNCTION vo.meets_range(
    polygon float8[], ra1 float8, width float8, dec1 float8, dec2 float8)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    n int := cardinality(polygon) / 2;
    outline float8[] := vo.outline(polygon);
    ra float8 := polygon[2 * n - 1];
    lat float8 := polygon[2 * n];
    ax float8 := cosd(lat) * cosd(ra); ay float8 := cosd(lat) * sind(ra); az float8 := sind(lat);
    bx float8; by_ float8; bz float8;
    nx float8; ny float8; nz float8;
    ex float8; ey float8; ez float8;
    length float8; angle float8; reach float8; phase float8; side float8; t float8; lon float8;
BEGIN
    FOREACH lat IN ARRAY ARRAY[dec1, dec2] LOOP
        IF vo.outline_has(outline, ra1, lat) OR vo.outline_has(outline, ra1 + width, lat) THEN
            RETURN true;
        END IF;
    END LOOP;
    FOR i IN 1 .. n LOOP
        ra := polygon[2 * i - 1];
        lat := polygon[2 * i];
        lon := ra - ra1 - 360 * floor((ra - ra1) / 360);
        IF lat BETWEEN dec1 AND dec2 AND (lon <= width OR abs(lat) = 90) THEN
            RETURN true;
        END IF;
        bx := cosd(lat) * cosd(ra); by_ := cosd(lat) * sind(ra); bz := sind(lat);
        nx := ay * bz - az * by_; ny := az * bx - ax * bz; nz := ax * by_ - ay * bx;
        length := sqrt(nx * nx + ny * ny + nz * nz);
        IF length > 0 THEN
            -- the edge is a cos t + e sin t for t from 0 to angle
            angle := atan2(length, ax * bx + ay * by_ + az * bz);
            ex := (ny * az - nz * ay) / length;
            ey := (nz * ax - nx * az) / length;
            ez := (nx * ay - ny * ax) / length;
            reach := sqrt(az * az + ez * ez);
            phase := atan2(ez, az);
            FOREACH lat IN ARRAY ARRAY[dec1, dec2] LOOP
                CONTINUE WHEN abs(sind(lat)) > reach OR reach = 0;
                FOREACH side IN ARRAY ARRAY[-1, 1] LOOP
                    t := phase + side * acos(sind(lat) / reach);
                    t := t - 2 * pi() * floor(t / (2 * pi()));
                    IF t <= angle THEN
                        lon := atan2d(ay * cos(t) + ey * sin(t), ax * cos(t) + ex * sin(t)) - ra1;
                        IF lon - 360 * floor(lon / 360) <= width THEN
                            RETURN true;
                        END IF;
                    END IF;
                END LOOP;
            END LOOP;
            IF width < 360 THEN
                FOREACH lon IN ARRAY ARRAY[ra1, ra1 + width] LOOP
                    phase := atan2(ax * sind(lon) - ay * cosd(lon),
                                   ey * cosd(lon) - ex * sind(lon));
                    FOREACH side IN ARRAY ARRAY[0, 1] LOOP
                        t := phase + side * pi();
                        t := t - 2 * pi() * floor(t / (2 * pi()));
                        IF t <= angle
                           AND (ax * cos(t) + ex * sin(t)) * cosd(lon)
                             + (ay * cos(t) + ey * sin(t)) * sind(lon) >= 0
                           AND az * cos(t) + ez * sin(t) BETWEEN sind(dec1) AND sind(dec2)
                        THEN
                            RETURN true;
                        END IF;
                    END LOOP;
                END LOOP;
            END IF;
        END IF;
        ax := bx; ay := by_; az := bz;
    END LOOP;
    RETURN false;
END $$
""",
)
"""In the order in which they can be made; each may be run again."""
