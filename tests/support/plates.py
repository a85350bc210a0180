"""Published images by the hundred thousand, as rows alone: for tests and measurements of plans."""

from __future__ import annotations

__all__ = ["make_plates"]

import psycopg2

_MAKE = """
SELECT setseed(0.5);
INSERT INTO vo.target (target_id, identity, dataset_id, class_name, instrument, chip, filter,
    moment, state, epoch, reasons)
OVERRIDING SYSTEM VALUE
SELECT n, 'plate-' || n, 'ivo://test/plates?' || n, 'CalibratedScienceFrame', 'plates', '1', 'V',
    50000 + n, 'fresh', 0, '[]' FROM generate_series(1, {rows}) AS n;
INSERT INTO vo.product (product_id, class_name, target_id, key, content_hash, recipe_version,
    process_params, attributes, instrument, chip, filter)
OVERRIDING SYSTEM VALUE
SELECT n, 'CalibratedScienceFrame', n, 'plate-' || n, '', '1', '{{}}', '{{}}', 'plates', '1', 'V'
FROM generate_series(1, {rows}) AS n;
INSERT INTO vo.publication (target_id, product_id)
SELECT n, n FROM generate_series(1, {rows}) AS n;
INSERT INTO vo.obscore (product_id, obs_id, calib_level, s_ra, s_dec, s_fov, s_region, s_xel1,
    s_xel2, t_min, t_max, t_exptime, facility_name, instrument_name, target_name, s_pixel_scale)
SELECT n, 'plate-' || n, 2, ra, "dec", size * 1.4143, vo.box(ra, "dec", size, size), 2048, 2048,
    50000 + n, 50000.01 + n, 60, 'test', 'plates', 'field ' || n % 100, 1
FROM (SELECT n, 360 * random() AS ra, degrees(asin(2 * random() - 1)) AS "dec",
    (ARRAY[0.05, 0.2, 0.5, 1.2, 6])[1 + n % 5] AS size
    FROM generate_series(1, {rows}) AS n) AS drawn;
ANALYZE vo.target; ANALYZE vo.product; ANALYZE vo.publication; ANALYZE vo.obscore;
"""


def make_plates(owner_url: str, rows: int) -> None:
    """Publish so many images all over the sky, squares of 3 arcmin to 6 degrees."""
    connection = psycopg2.connect(owner_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(_MAKE.format(rows=rows))
    connection.close()
