"""More questions in ADQL, and the same in SQL by hand; with those of ``test_results``."""

from __future__ import annotations

__all__ = ["QUESTIONS"]

ONE = "FROM stars WHERE id = 1"
_SIX = "7.606083572, 11.79044105, 125"

QUESTIONS = [
    # CASTs
    (
        f"SELECT CAST('1.5 -2' AS POINT), CAST('1 2 3' AS CIRCLE), CAST('0 0 1 0 0 1' AS POLYGON) {ONE}",
        "SELECT '{1.5,-2}'::float8[], '{1,2,3}'::float8[], '{0,0,1,0,0,1}'::float8[]",
    ),
    (
        "SELECT CAST(seen AS VARCHAR), CAST(seen AS CHAR(10)), CAST(noted AS TIMESTAMP) "
        "FROM stars WHERE id = 4",
        "SELECT '2026-01-01T04:00:01', '2026-01-01', '2026-01-05T00:00:00'",
    ),
    (
        "SELECT CAST(s_region AS VARCHAR), CAST(s_region AS CIRCLE) FROM plates WHERE id = 2",
        "SELECT 'CIRCLE ICRS 10.25 -1e-05 1', '{10.25,-1e-05,1}'::float8[]",
    ),
    (
        "SELECT CAST(s_region AS POLYGON), CAST(s_region AS CIRCLE) FROM plates ORDER BY id",
        "VALUES ('{355,-5,5,-5,5,5.5,355,5}'::float8[], NULL), (NULL, '{10.25,-1e-05,1}'::float8[]),"
        " (NULL, NULL)",
    ),
    (
        "SELECT CAST(CIRCLE(1, 2, 0.5) AS VARCHAR), CAST(good AS INTEGER), CAST(-7.5 AS SMALLINT), "
        "CAST(mag AS REAL), CAST(flag AS DOUBLE PRECISION), CAST(' 12 ' AS BIGINT) "
        "FROM stars WHERE id = 3",
        "SELECT '1 2 0.5', 1, -8, mag, flag::float8, 12 FROM lab.stars WHERE id = 3",
    ),
    # regions that leave as text
    (
        "SELECT id, s_region FROM plates ORDER BY id",
        "VALUES (1, 'POLYGON ICRS 355 -5 5 -5 5 5.5 355 5'), (2, 'CIRCLE ICRS 10.25 -1e-05 1'),"
        " (3, NULL)",
    ),
    (
        "SELECT DISTINCT q.r FROM (SELECT s_region AS r FROM plates) AS q WHERE q.r IS NOT NULL",
        "VALUES ('POLYGON ICRS 355 -5 5 -5 5 5.5 355 5'), ('CIRCLE ICRS 10.25 -1e-05 1')",
    ),
    (
        "SELECT s_region FROM plates WHERE id = 2 UNION SELECT POLYGON(0, 0, 1, 0, 0, 1) FROM plates",
        "VALUES ('CIRCLE ICRS 10.25 -1e-05 1'), ('POLYGON ICRS 0 0 1 0 0 1')",
    ),
    (
        "WITH q (r, n) AS (SELECT s_region, id FROM plates) SELECT COALESCE(r, CIRCLE(1, 2, 3)), "
        "COUNT(*) FROM q WHERE n > 1 GROUP BY r ORDER BY 2, 1",
        "VALUES ('CIRCLE ICRS 1 2 3', 1), ('CIRCLE ICRS 10.25 -1e-05 1', 1)",
    ),
    ("SELECT id FROM plates WHERE 1=CONTAINS(POINT(0, 0), s_region)", "VALUES (1)"),
    ("SELECT id FROM plates WHERE 1=INTERSECTS(s_region, CIRCLE(12, 0, 0.8))", "VALUES (2)"),
    ("SELECT id FROM plates WHERE 0=INTERSECTS(s_region, CIRCLE(12, 0, 0.8))", "VALUES (1)"),
    ("SELECT id FROM plates WHERE NOT (1=INTERSECTS(s_region, CIRCLE(12, 0, 0.8)))", "VALUES (1)"),
    (
        "SELECT id, ROUND(AREA(s_region), 4), CENTROID(s_region) FROM plates WHERE id = 2",
        "SELECT 2, 3.1415::float8, '{10.25,-1e-05}'::float8[]",
    ),
    # booleans
    (
        "SELECT id FROM stars WHERE good = 1 AND id < 10 AND good > FALSE",
        "VALUES (3), (6), (9)",
    ),
    ("SELECT id FROM stars WHERE 0 = good AND id < 4", "VALUES (1), (2)"),
    ("SELECT id FROM stars WHERE good IN (TRUE) AND id < 7 AND TRUE", "VALUES (3), (6)"),
    ("SELECT good, COUNT(*) FROM stars GROUP BY good", "VALUES (true, 666), (false, 1334)"),
    ("SELECT COALESCE(good, TRUE) FROM stars WHERE id = 3 AND NOT FALSE", "VALUES (true)"),
    # NULLs from queries inside
    ("SELECT SUM(q.n), COUNT(q.n) FROM (SELECT NULL AS n FROM stars) AS q", "SELECT NULL, 0"),
    (
        "SELECT MAX(q.n), q.n + 1, ABS(q.n), UPPER(q.n) FROM (SELECT NULL AS n FROM stars) AS q "
        "GROUP BY q.n",
        "SELECT NULL, NULL, NULL, NULL",
    ),
    (
        "SELECT id FROM stars, (SELECT NULL AS n FROM fields) AS q WHERE ra = q.n OR id = q.n "
        "OR ra BETWEEN q.n AND 3 OR kind = q.n OR seen > q.n OR good = q.n",
        "SELECT 1 WHERE false",
    ),
    (
        "SELECT COALESCE(q.n, id), COALESCE(q.n, kind) FROM stars, (SELECT TOP 1 NULL AS n FROM fields)"
        " AS q WHERE id = 2",
        "SELECT 2, 'QSO'",
    ),
    (
        "SELECT q.n FROM (SELECT NULL AS n FROM fields) AS q JOIN stars2 AS t ON q.n = t.id",
        "SELECT 1 WHERE false",
    ),
    # WITH
    (
        "WITH a AS (SELECT id FROM stars WHERE id < 4), b AS (SELECT id + 1 AS id FROM a UNION "
        "SELECT id FROM a) SELECT x.id, y.id FROM a AS x JOIN b AS y ON y.id = x.id + 1",
        "VALUES (1, 2), (2, 3), (3, 4)",
    ),
    (
        "WITH stars AS (SELECT 5 AS id FROM stars WHERE id = 1) SELECT id FROM stars",
        "VALUES (5)",
    ),
    (
        'WITH q ("A b", c) AS (SELECT id, flag FROM stars WHERE id = 7) SELECT "A b", q.C FROM q',
        "VALUES (7, -1)",
    ),
    (
        "WITH q AS (SELECT TOP 2 id FROM stars ORDER BY id OFFSET 3) SELECT id FROM q "
        "UNION ALL SELECT id FROM q",
        "VALUES (4), (5), (4), (5)",
    ),
    # set operations
    (
        "SELECT id FROM stars WHERE id < 4 EXCEPT ALL SELECT id FROM stars WHERE id = 2",
        "VALUES (1), (3)",
    ),
    (
        "(SELECT flag FROM stars WHERE id < 40) INTERSECT ALL (SELECT flag FROM stars WHERE id < 17)",
        "SELECT n % 16 - 8 FROM generate_series(1, 16) AS n",
    ),
    (
        "SELECT id FROM stars WHERE id < 5 EXCEPT (SELECT id FROM stars WHERE id < 4 EXCEPT SELECT id "
        "FROM stars WHERE id = 2)",
        "VALUES (2), (4)",
    ),
    (
        "SELECT id FROM stars WHERE id < 5 EXCEPT SELECT id FROM stars WHERE id < 4 EXCEPT SELECT id "
        "FROM stars WHERE id = 2",
        "VALUES (4)",
    ),
    (
        "(SELECT TOP 2 id FROM stars ORDER BY id) UNION (SELECT TOP 2 id FROM stars ORDER BY id DESC) "
        "ORDER BY 1 DESC OFFSET 1",
        "VALUES (1999), (2), (1)",
    ),
    (
        "SELECT small FROM stars WHERE id = 2 UNION SELECT ra FROM stars WHERE id < 0 UNION "
        "SELECT 7 FROM stars",
        "VALUES (2::float8), (7)",
    ),
    # TOP and OFFSET
    ("SELECT TOP 0 id FROM stars", "SELECT 1 WHERE false"),
    ("SELECT id FROM stars ORDER BY id OFFSET 1998", "VALUES (1999), (2000)"),
    ("SELECT TOP 2 id FROM stars ORDER BY id DESC OFFSET 1", "VALUES (1999), (1998)"),
    ("SELECT DISTINCT TOP 2 flag FROM stars ORDER BY flag", "VALUES (-8), (-7)"),
    # names
    (
        'SELECT "id", Q."id", "q"."Id" FROM (SELECT id, flag AS "Id" FROM stars WHERE id = 7) AS "q" '
        'WHERE "Id" = -1',
        "VALUES (7, 7, -1)",
    ),
    (
        'SELECT "Name", s.id FROM lab."Fields" f, LAB.STARS s WHERE f."Name"=\'zero\' AND s.id=f.id',
        "SELECT 'zero', 2",
    ),
    (
        "SELECT cat.lab.stars.id, lab.stars.flag, stars.* FROM cat.lab.stars WHERE id = 1",
        "SELECT id, flag, * FROM (SELECT id, ra, dec, mag, kind, flag, small, good, to_char(seen AT TIME "
        "ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), replace(noted, '.000000', ''), pm FROM lab.stars "
        "WHERE id = 1) AS q",
    ),
    (
        "SELECT *, id AS again, 1 FROM stars2 WHERE id = 1999;",
        "VALUES (1999, 999.5::float8, 1999, 1)",
    ),
    # subqueries
    (
        "SELECT f.id, (SELECT COUNT(*) FROM stars AS s WHERE s.flag = f.id) AS n FROM fields AS f",
        "SELECT n, 125 FROM generate_series(1, 4) AS n",
    ),
    (
        "SELECT id FROM stars AS s WHERE id < 30 AND mag = (SELECT MAX(t.mag) FROM stars AS t WHERE "
        "t.flag = s.flag AND t.id < 30)",
        "SELECT id FROM lab.stars s WHERE id < 30 AND mag = (SELECT max(mag) FROM lab.stars t WHERE "
        "t.flag = s.flag AND t.id < 30)",
    ),
    (
        "SELECT id FROM fields WHERE NOT EXISTS (SELECT * FROM stars WHERE stars.id = fields.id + 1997)",
        "VALUES (4)",
    ),
    (
        "SELECT id FROM stars WHERE id IN (SELECT id FROM stars2 WHERE extent > 999) AND id NOT IN "
        "(SELECT id FROM stars2 WHERE extent > 999.5)",
        "VALUES (1999)",
    ),
    (
        "SELECT AVG(n) FROM (SELECT flag, COUNT(*) AS n FROM stars GROUP BY flag) AS q WHERE n > 1",
        "SELECT 125::float8",
    ),
    # groups
    (
        "SELECT MOD(flag, 3) AS m, COUNT(DISTINCT kind), SUM(DISTINCT small), MIN(kind), AVG(flag) "
        "FROM stars GROUP BY m HAVING COUNT(*) > 300 AND MIN(id) < 100 ORDER BY m DESC",
        "SELECT flag % 3, count(DISTINCT kind), sum(DISTINCT small), min(kind), avg(flag)::float8 FROM "
        "lab.stars GROUP BY 1 HAVING count(*) > 300 ORDER BY 1 DESC",
    ),
    (
        "SELECT kind || '!' AS k, COUNT(*) FROM stars WHERE kind IS NOT NULL GROUP BY kind || '!' "
        "ORDER BY COUNT(*) DESC, k",
        "SELECT kind || '!', count(*) FROM lab.stars WHERE kind IS NOT NULL GROUP BY 1 "
        "ORDER BY 2 DESC, 1",
    ),
    ("SELECT COUNT(ALL mag), SUM(ALL flag) FROM stars", "SELECT 1800, -1000"),
    (
        "SELECT SUM(mag), SUM(pm) FROM stars WHERE id < 4",
        "SELECT sum(mag::float8), 0.75::float8 FROM lab.stars WHERE id < 4",
    ),
    ("SELECT COUNT(*) FROM stars HAVING MAX(id) > 1", "SELECT 2000"),
    # joins
    (
        "SELECT COUNT(*), COUNT(s.id), COUNT(t.id) FROM stars AS s FULL JOIN stars2 AS t "
        "ON s.id > t.id + 8",
        "SELECT 2020, 2001, 22",
    ),
    (
        "SELECT f.id, t.id FROM fields AS f FULL OUTER JOIN stars2 AS t ON f.id = t.id - 1989 "
        "AND f.kind LIKE 'g%'",
        'SELECT f.id, t.id FROM lab."Fields" f FULL JOIN other.stars2 t ON f.id = t.id - 1989 '
        "AND f.kind LIKE 'g%'",
    ),
    (
        "SELECT t.id FROM stars2 AS t NATURAL LEFT JOIN stars WHERE stars.id IS NULL",
        "SELECT generate_series(2001, 2010)",
    ),
    (
        "SELECT stars.id FROM stars NATURAL INNER JOIN stars2 JOIN fields ON fields.id + 1990 = stars.id",
        "SELECT generate_series(1991, 1994)",
    ),
    (
        "SELECT a.id FROM (stars AS a JOIN stars2 USING (id)) LEFT JOIN fields AS f ON f.id = a.id - 1990"
        " WHERE f.id IS NULL",
        "VALUES (1990), (1995), (1996), (1997), (1998), (1999), (2000)",
    ),
    # operators and literals
    (
        "SELECT 0x1F, 0xffffffff, 0XA & 6, 5 | 2, 6 ^ 3, ~0, ~flag & 7 FROM stars WHERE id = 9",
        "SELECT 31, 4294967295, 2, 7, 5, -1, ~1 & 7",
    ),
    (
        "SELECT -id, +flag, - - 2, 2 - -3, 7 / 2, 7. / 2, 1.5e1 * 2, .5 + 1. FROM stars WHERE id = 3",
        "SELECT -3, -5, 2, 5, 3, 3.5::float8, 30::float8, 1.5::float8",
    ),
    (
        "SELECT 'it''s', 'a' -- comment ' in between\n 'b', '', '%_\\' || kind FROM stars WHERE id = 2",
        "SELECT 'it''s', 'ab', '', '%_\\QSO'",
    ),
    (
        "SELECT id FROM stars WHERE kind ILIKE 'qs_' AND id < 9 AND kind NOT ILIKE 'x%'",
        "VALUES (2), (6)",
    ),
    (
        "SELECT LOWER('ÅBC'), UPPER('straße') FROM stars WHERE id = 1",
        "SELECT lower('ÅBC'), upper('straße')",
    ),
    (
        "SELECT id FROM stars WHERE id NOT BETWEEN 3 AND 1999 AND mag IS NULL OR id != 5 AND id < 2",
        "VALUES (1), (2000)",
    ),
    (
        "SELECT id FROM stars WHERE flag IN ("
        + ", ".join(map(str, range(5, 90)))
        + ") AND id < 32",
        "SELECT n FROM generate_series(1, 31) AS n WHERE n % 16 - 8 >= 5",
    ),
    (
        "SELECT id FROM stars WHERE kind IN ('"
        + "', '".join("abcdefghijklmnopqrstuvwxyzABCDEFG")
        + "', 'QSO') AND id < 7",
        "VALUES (2), (6)",
    ),
    (
        "SELECT id FROM stars WHERE ra IN ("
        + ", ".join(f"{n}.5" for n in range(40))
        + ", 137.50776405)",
        "VALUES (1)",
    ),
    (
        "SELECT TRUNCATE(-2.567, 1), ROUND(-1234.5, -2), MOD(7, -3) FROM stars WHERE id = 1 AND RAND() < 1",
        "SELECT -2.5::float8, -1200::float8, 1",
    ),
    # units
    (
        "SELECT IN_UNIT(ra, 'arcmin'), IN_UNIT(mag, 'mmag'), IN_UNIT(pm, 'rad/s') FROM stars WHERE id = 8",
        "SELECT ra * 60, mag::float8 * 1000, radians(0.001 / 3600) / (365.25 * 86400) FROM lab.stars "
        "WHERE id = 8",
    ),
    # texts of ADQL 2.0
    (
        "SELECT id FROM stars WHERE CONTAINS(POINT('ICRS GEOCENTER', ra, dec), CIRCLE(NULL, 1, 2, 15))=1",
        "SELECT id FROM lab.stars WHERE vo.distance(ra, dec, 1, 2) <= 15",
    ),
    (
        "SELECT COORDSYS(POINT('', 1, 2)), COORD1(POINT('icrs', 1, 2)) FROM stars WHERE id = 1",
        "SELECT 'ICRS', 1::float8",
    ),
    # the catalogue's functions
    (
        f"SELECT ivo_healpix_index(0, 1, 1), ivo_healpix_index(17, 359, -1), "
        f"ivo_healpix_index(17, POINT('ICRS', 1, 1)), ivo_healpix_center(0, 6) {ONE}",
        "SELECT 4, 73009064944, 81609757711, '{180,0}'::float8[]",
    ),
    (
        f"SELECT ivo_healpix_center(17, ivo_healpix_index(17, 23.4, 56.7)) {ONE}",
        "SELECT '{23.399843462947466,56.70016214363192}'::float8[]",
    ),
    (
        f"SELECT ivo_epoch_prop_pos({_SIX}, 300, -428.8, 52.51, 2016.0, 1992.25), "
        f"ivo_epoch_prop_pos({_SIX}, 300, -428.8, 52.51, 2016.0, 1875.0), "
        f"ivo_epoch_prop_pos({_SIX}, 300, -428.8, NULL, 2016.0, 1875.0), "
        f"ivo_epoch_prop_pos({_SIX}, 300, NULL, NULL, 2016.0, 1875.0) {ONE}",
        "SELECT '{7.604061404627978,11.7932703828279}'::float8[], "
        "'{7.594068213694308,11.807251375203935}'::float8[], "
        "'{7.594079587029898,11.807235464326332}'::float8[], "
        "'{7.594080321498365,11.790440798509207}'::float8[]",
    ),
    (
        f"SELECT ivo_to_jd(CAST('2000-01-02T12:00:00' AS TIMESTAMP)), ivo_to_jd('1910-12-31T06:00:00'), "
        f"ivo_to_jd(NULL), ivo_to_mjd('2000-01-02T12:00:00'), ivo_to_mjd('1910-12-31T06:00:00') {ONE}",
        "SELECT 2451546, 2419036.75, NULL, 51545.5, 19036.25",
    ),
    (
        f"SELECT ivo_nocasematch('abcabc', 'ab%'), ivo_nocasematch('ABcabc', 'ab__bc'), "
        f"ivo_nocasematch('abcabc', '%BC'), ivo_nocasematch('abcabc', 'ABCABC'), "
        f"ivo_nocasematch('abcabc', 'abcab'), ivo_nocasematch(NULL, 'a') {ONE}",
        "SELECT 1, 1, 1, 1, 0, NULL",
    ),
    (
        f"SELECT ivo_hasword('Miller and Urey have', 'miller'), "
        f"ivo_hasword('shown that a primordial', 'soup'), "
        f"ivo_hasword('shown that a primordial', 'primordial shown'), "
        f"ivo_hasword('shown that a primordial', 'shown soup'), ivo_hasword('a (b) c.d', 'b,D') {ONE}",
        "SELECT 1, 0, 1, 0, 1",
    ),
    (
        f"SELECT ivo_hashlist_has('red#green#blue', 'red'), ivo_hashlist_has('Red#green#blue', 'rED'), "
        f"ivo_hashlist_has('red#green#blue', 're'), ivo_hashlist_has('red#green#blue', 'red#green') {ONE}",
        "SELECT 1, 1, 0, 0",
    ),
    (
        f"SELECT ivo_interval_overlaps(-3, -2, 2, 3), ivo_interval_overlaps(-2, 55.3, 2, 3), "
        f"ivo_interval_overlaps(2, 3, -2, 55.3), ivo_interval_overlaps(-2, 55.3, 3, 2), "
        f"ivo_interval_overlaps(-2, 2, 2, 3), ivo_interval_overlaps(3, 2, -2, 55.3) {ONE}",
        "SELECT 0, 1, 1, 0, 1, 0",
    ),
    (
        "SELECT ivo_string_agg(q.k, '<//>') FROM (SELECT 'a' AS k FROM stars WHERE id < 4 "
        "UNION ALL SELECT NULL FROM stars WHERE id = 1) AS q",
        "SELECT 'a<//>a<//>a'",
    ),
    (
        "SELECT flag, ivo_histogram(mag, 10, 18, 4) FROM stars WHERE id < 200 GROUP BY flag",
        "SELECT flag, ARRAY[count(*) FILTER (WHERE mag IS NULL OR mag < 10), count(*) FILTER (WHERE mag >= "
        "10 AND mag < 12), count(*) FILTER (WHERE mag >= 12 AND mag < 14), count(*) FILTER (WHERE mag >= "
        "14 AND mag < 16), count(*) FILTER (WHERE mag >= 16 AND mag <= 18), count(*) FILTER (WHERE mag > "
        "18)]::int4[] FROM lab.stars WHERE id < 200 GROUP BY flag",
    ),
    ("SELECT COUNT(*) FROM stars WHERE ABS(ivo_normal_random(10, 2) - 10) < 40", "SELECT 2000"),
    (
        f"SELECT ivo_hms_to_degrees('3:34:45.4'), ivo_hms_to_degrees('3h34m45.4s'), "
        f"ivo_hms_to_degrees('033445.4'), ivo_hms_to_degrees('25:00:00'), ivo_hms_to_degrees('x') {ONE}",
        "SELECT 53.689166667::float8, 53.689166667::float8, 53.689166667::float8, NULL, NULL",
    ),
    (
        f"SELECT ivo_dms_to_degrees('42:9:6.768'), ivo_dms_to_degrees('42D9M6.768S'), "
        f"ivo_dms_to_degrees('-00:15:00'), ivo_dms_to_degrees('+001500'), ivo_dms_to_degrees('1:60:0') {ONE}",
        "SELECT 42.15188::float8, 42.15188::float8, -0.25::float8, 0.25::float8, NULL",
    ),
    (
        f"SELECT ivo_epoch_prop({_SIX}, NULL, NULL, NULL, 2016.0, 1992.25) {ONE}",
        "SELECT '{7.606083572,11.79044105,125,NaN,NaN,NaN}'::float8[]",
    ),
    # geometry
    (
        "SELECT id FROM stars WHERE 1=INTERSECTS(BOX(POINT(0, 0), 20, 10), POINT(ra, dec))",
        "SELECT id FROM lab.stars WHERE vo.contains(ARRAY[ra, dec], vo.box(0, 0, 20, 10))",
    ),
    (
        "SELECT s.id, f.id FROM fields AS f LEFT JOIN stars AS s ON 1=CONTAINS(POINT(s.ra, s.dec), f.s_region)",
        'SELECT s.id, f.id FROM lab."Fields" f LEFT JOIN lab.stars s ON vo.contains(ARRAY[ra,dec], '
        "s_region)",
    ),
    (
        "SELECT s.id FROM fields AS f, stars AS s WHERE DISTANCE(f.centre, POINT(s.ra, s.dec)) < 8",
        'SELECT s.id FROM lab."Fields" f, lab.stars s WHERE '
        "vo.distance(ra, dec, centre[1], centre[2]) < 8",
    ),
    (
        "SELECT p.id, COUNT(s.id) FROM plates AS p LEFT JOIN stars AS s ON 1=INTERSECTS(p.s_region, "
        "CIRCLE(s.ra, s.dec, 2)) GROUP BY p.id",
        "SELECT p.id, count(s.id) FROM lab.plates p LEFT JOIN lab.stars s ON vo.intersects(p.s_region, "
        "ARRAY[s.ra, s.dec, 2]) GROUP BY p.id",
    ),
    (
        "SELECT id FROM stars WHERE 1=CONTAINS(POINT(ra, dec), POLYGON(POINT(350, -5), POINT(10, -5), "
        "POINT(10, 5), POINT(350, 5)))",
        "SELECT id FROM lab.stars WHERE vo.contains(ARRAY[ra, dec], '{350,-5,10,-5,10,5,350,5}')",
    ),
    (
        "SELECT AREA(POINT(1, 2)), AREA(BOX(10, 0, 2, 2)), CENTROID(POINT(3, 4)) FROM stars WHERE id = 1",
        "SELECT 0::float8, vo.area(vo.box(10, 0, 2, 2)), '{3,4}'::float8[]",
    ),
]
