"""The texts that make the functions of ``vo`` on HEALPix in its nested scheme.

Written from Gorski et al. 2005, ApJ 622, 759, sections 5.2 and 5.3; a wrong order or index is a
data exception with a sentence (SQLSTATE 22023).
"""

from __future__ import annotations

__all__ = ["FUNCTIONS"]

from typing import Final

from schemas.sphere_functions import LOOP as _LOOP

_SPREAD: Final = f"""
CREATE OR REPLACE FUNCTION vo.spread_bits(x int8)
RETURNS int8 {_LOOP} AS $$
BEGIN
    x := (x | (x << 16)) & x'0000FFFF0000FFFF'::int8;
    x := (x | (x << 8)) & x'00FF00FF00FF00FF'::int8;
    x := (x | (x << 4)) & x'0F0F0F0F0F0F0F0F'::int8;
    x := (x | (x << 2)) & x'3333333333333333'::int8;
    RETURN (x | (x << 1)) & x'5555555555555555'::int8;
END $$
"""

_GATHER: Final = f"""
CREATE OR REPLACE FUNCTION vo.gather_bits(x int8)
RETURNS int8 {_LOOP} AS $$
BEGIN
    x := x & x'5555555555555555'::int8;
    x := (x | (x >> 1)) & x'3333333333333333'::int8;
    x := (x | (x >> 2)) & x'0F0F0F0F0F0F0F0F'::int8;
    x := (x | (x >> 4)) & x'00FF00FF00FF00FF'::int8;
    x := (x | (x >> 8)) & x'0000FFFF0000FFFF'::int8;
    RETURN (x | (x >> 16)) & x'00000000FFFFFFFF'::int8;
END $$
"""

_INDEX: Final = f"""
CREATE OR REPLACE FUNCTION vo.healpix_index(order_ int, ra float8, "dec" float8)
RETURNS int8 {_LOOP} AS $$
DECLARE
    nside int8;
    z float8 := sind("dec");
    quarter float8 := (ra - 360 * floor(ra / 360)) / 90;
    up int8;
    down int8;
    face int8;
    column_ int;
    x int8;
    y int8;
    reach float8;
BEGIN
    IF order_ NOT BETWEEN 0 AND 29 OR "dec" NOT BETWEEN -90 AND 90 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE =
            'HEALPix takes an order of 0 to 29 and a latitude of -90 to 90 degrees';
    END IF;
    nside := 1::int8 << order_;
    IF abs(z) <= 2.0 / 3.0 THEN
        up := floor(nside * (0.5 + quarter) - nside * z * 0.75)::int8;
        down := floor(nside * (0.5 + quarter) + nside * z * 0.75)::int8;
        face := CASE WHEN up >> order_ = down >> order_ THEN (up >> order_) | 4
                     WHEN up < down THEN up >> order_
                     ELSE (down >> order_) + 8 END;
        x := down & (nside - 1);
        y := nside - (up & (nside - 1)) - 1;
    ELSE
        column_ := least(3, floor(quarter)::int);
        reach := nside * cosd("dec") / sqrt((1 + abs(z)) / 3);
        up := least(nside - 1, floor((quarter - column_) * reach)::int8);
        down := least(nside - 1, floor((1 - quarter + column_) * reach)::int8);
        IF z >= 0 THEN
            face := column_;
            x := nside - down - 1;
            y := nside - up - 1;
        ELSE
            face := column_ + 8;
            x := up;
            y := down;
        END IF;
    END IF;
    RETURN (face << (2 * order_)) + vo.spread_bits(x) + (vo.spread_bits(y) << 1);
END $$
"""

_CENTRE: Final = f"""
CREATE OR REPLACE FUNCTION vo.healpix_center(order_ int, index_ int8)
RETURNS float8[] {_LOOP} AS $$
DECLARE
    nside int8;
    face int;
    x int8;
    y int8;
    ring int8;
    size int8;
    part float8;
    z float8;
    across float8;
    along int8;
BEGIN
    IF order_ NOT BETWEEN 0 AND 29
       OR index_ < 0 OR index_ >= 12::int8 << (2 * least(order_, 29))
    THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE =
            'HEALPix takes an order of 0 to 29 and an index of 0 to 12 * 4^order - 1';
    END IF;
    nside := 1::int8 << order_;
    face := (index_ >> (2 * order_))::int;
    x := vo.gather_bits(index_ & (nside * nside - 1));
    y := vo.gather_bits((index_ & (nside * nside - 1)) >> 1);
    ring := (face / 4 + 2) * nside - x - y - 1;
    size := least(ring, nside, 4 * nside - ring);
    IF size < nside THEN
        part := (size::float8 / nside) * (size::float8 / nside) / 3;
        z := CASE WHEN ring < nside THEN 1 - part ELSE part - 1 END;
        across := sqrt(part * (2 - part));
    ELSE
        z := (2 * nside - ring) * 2.0::float8 / (3 * nside);
        across := sqrt((1 - z) * (1 + z));
    END IF;
    along := (2 * (face & 3) + CASE WHEN face / 4 = 1 THEN 0 ELSE 1 END) * size + x - y;
    IF along < 0 THEN along := along + 8 * size; END IF;
    RETURN ARRAY[along * 45.0::float8 / size, degrees(atan2(z, across))];
END $$
"""

#: In the order in which they can be made.
FUNCTIONS: Final[tuple[str, ...]] = (_SPREAD, _GATHER, _INDEX, _CENTRE)
