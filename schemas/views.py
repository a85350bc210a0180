"""SQL of what users query: functions of schema ``vo``, and the views of ``archive`` and ``ivoa``.

Views answer as of ``vo.asof()``: with the setting ``vo.asof`` empty that is the present (rows
whose publication is open ended), otherwise the moment it names.
"""

from __future__ import annotations

__all__ = [
    "CURRENT_LINEAGE",
    "DATASET",
    "FUNCTIONS",
    "HALF_LIGHT_RADIUS",
    "OBSCORE",
    "PUBLISHED",
    "SCRIPTS",
    "SUBJECT_INDEX",
    "TIME",
    "VIEWS",
]

from typing import Final

TIME: Final = (
    """
CREATE OR REPLACE FUNCTION vo.asof() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('vo.asof', true), '')::timestamptz
$$
""",
    """
CREATE OR REPLACE FUNCTION vo.holds(start timestamptz, stop timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN vo.asof() IS NULL THEN stop = 'infinity'
              ELSE start <= vo.asof() AND stop > vo.asof() END
$$
""",
)

SUBJECT_INDEX: Final = """
CREATE INDEX IF NOT EXISTS ix_target_subject ON vo.target
  (coalesce(raw_id::text, field_id::text || ' ' || filter)) WHERE dataset_id IS NOT NULL
"""

HALF_LIGHT_RADIUS: Final = """
DO $$ BEGIN
  IF EXISTS (SELECT FROM information_schema.columns
             WHERE table_schema = 'vo' AND table_name = 'source' AND column_name = 'fwhm') THEN
    ALTER TABLE vo.source RENAME COLUMN fwhm TO half_light_radius;
    UPDATE vo.source SET half_light_radius = half_light_radius / 2;
  END IF;
  IF EXISTS (SELECT FROM information_schema.columns
             WHERE table_schema = 'archive' AND table_name = 'sources' AND column_name = 'fwhm')
  THEN
    ALTER VIEW archive.sources RENAME COLUMN fwhm TO half_light_radius;
  END IF;
END $$
"""
"""Names what archives before revision 0014 have as ``fwhm`` of sources, twice the radius."""

FUNCTIONS: Final = (
    """
CREATE OR REPLACE FUNCTION vo.fact(wanted text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT value FROM vo.service_fact WHERE name = wanted
$$
""",
    """
CREATE OR REPLACE FUNCTION vo.was(object_id bigint, changed text, present double precision)
RETURNS double precision LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT CASE WHEN vo.asof() IS NULL THEN present ELSE coalesce(
    (SELECT e.old::double precision FROM vo.edit e
     WHERE e.product_id = object_id AND e.field = changed AND e.at > vo.asof()
     ORDER BY e.at LIMIT 1), present) END
$$
""",
    """
CREATE OR REPLACE FUNCTION vo.mark_suspect(seeds bigint[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  marked bigint[] := '{}';
  stirred bigint[] := '{}';
  found bigint[];
  pools bigint[];
BEGIN
  -- A target that is being published commits while its lock is waited for here: what has come to
  -- rest on the marked ones by then is found by looking again.
  LOOP
    -- pools are negative numbers here
    WITH RECURSIVE hit(node) AS (
      SELECT unnest(seeds)
      UNION
      SELECT f.node FROM hit CROSS JOIN LATERAL (
        SELECT d.target_id AS node FROM vo.dependency d WHERE d.progenitor_target_id = hit.node
        UNION ALL
        SELECT -m.pool_id FROM vo.pool_member m WHERE m.target_id = hit.node
        UNION ALL
        SELECT u.target_id FROM vo.pool_user u WHERE u.pool_id = -hit.node
      ) AS f
    )
    SELECT (SELECT array_agg(t.target_id ORDER BY t.target_id)
            FROM hit JOIN vo.target t ON t.target_id = hit.node
            WHERE t.target_id NOT IN (SELECT unnest(marked))),
           (SELECT array_agg(-node ORDER BY -node) FROM hit
            WHERE node < 0 AND -node NOT IN (SELECT unnest(stirred)))
    INTO found, pools;
    EXIT WHEN found IS NULL AND pools IS NULL;
    PERFORM 1 FROM vo.target WHERE target_id = ANY (found) ORDER BY target_id FOR NO KEY UPDATE;
    UPDATE vo.target
    SET state = CASE WHEN state = 'missing' THEN 'missing' ELSE 'suspect' END, epoch = epoch + 1
    WHERE target_id = ANY (found);
    PERFORM 1 FROM vo.pool WHERE pool_id = ANY (pools) ORDER BY pool_id FOR NO KEY UPDATE;
    UPDATE vo.pool SET epoch = epoch + 1 WHERE pool_id = ANY (pools);
    marked := marked || coalesce(found, '{}');
    stirred := stirred || coalesce(pools, '{}');
  END LOOP;
  RETURN cardinality(marked);
END
$$
""",
    """
CREATE OR REPLACE FUNCTION vo.ancestors(wanted bigint)
RETURNS TABLE (role text, ancestor_id bigint, depth integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH RECURSIVE up(role, ancestor_id, depth) AS (
    SELECT l.role, l.progenitor_id, 1 FROM vo.current_lineage l WHERE l.product_id = wanted
    UNION
    SELECT l.role, l.progenitor_id, up.depth + 1
    FROM up JOIN vo.current_lineage l ON l.product_id = up.ancestor_id
  )
  SELECT DISTINCT ON (up.ancestor_id) up.role, up.ancestor_id, up.depth
  FROM up ORDER BY up.ancestor_id, up.depth
$$
""",
    """
CREATE OR REPLACE FUNCTION vo.descendants(wanted bigint)
RETURNS TABLE (descendant_id bigint, depth integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH RECURSIVE down(descendant_id, depth) AS (
    SELECT l.product_id, 1 FROM vo.current_lineage l WHERE l.progenitor_id = wanted
    UNION
    SELECT l.product_id, down.depth + 1
    FROM down JOIN vo.current_lineage l ON l.progenitor_id = down.descendant_id
  )
  SELECT d.descendant_id, min(d.depth) FROM down d GROUP BY d.descendant_id
$$
""",
)

CURRENT_LINEAGE: Final = """
CREATE OR REPLACE VIEW vo.current_lineage AS
  SELECT l.product_id, l.role, l.position, l.progenitor_id FROM vo.lineage l
  WHERE NOT EXISTS (
    SELECT 1 FROM vo.confirmation c
    WHERE c.product_id = l.product_id AND c.role = l.role AND c.position = l.position
      AND vo.holds(c.valid_from, c.valid_to))
  UNION ALL
  SELECT c.product_id, c.role, c.position, c.progenitor_id FROM vo.confirmation c
  WHERE vo.holds(c.valid_from, c.valid_to)
"""

PUBLISHED: Final = """
CREATE OR REPLACE VIEW vo.published AS
  SELECT target_id, product_id, published_from, published_to FROM vo.publication
  WHERE vo.holds(published_from, published_to)
"""

DATASET: Final = """
CREATE OR REPLACE VIEW vo.dataset AS
  SELECT t.dataset_id, p.product_id, p.attributes, p.cards, pixels.product_id AS pixels_id,
    f.location, f.size, raw.product_id AS raw_id
  FROM vo.product p
  LEFT JOIN vo.published u ON u.product_id = p.product_id
  JOIN vo.target t
    ON t.target_id = coalesce(u.target_id, p.target_id) AND t.dataset_id IS NOT NULL
  LEFT JOIN vo.current_lineage l
    ON l.product_id = p.product_id AND l.role = 'reduced' AND p.file_id IS NULL
  JOIN vo.product pixels ON pixels.product_id = coalesce(l.progenitor_id, p.product_id)
  JOIN vo.file f ON f.file_id = pixels.file_id
  LEFT JOIN vo.product raw ON raw.product_id = t.raw_id
"""
"""Images under the identifier that they are published by, others under that of their maker."""

VIEWS: Final = (
    """
CREATE OR REPLACE VIEW archive.products AS
  SELECT p.product_id AS object_id, p.class_name, p.instrument, p.chip, p.filter,
    to_char(p.night, 'YYYY-MM-DD') AS night,
    to_char(p.creation_date AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS creation_date,
    p.creator, vo.was(p.product_id, 'is_valid', p.is_valid)::smallint AS is_valid,
    p.quality_flags, p.compare_flags,
    vo.was(p.product_id, 'timestamp_start', p.timestamp_start) AS timestamp_start,
    vo.was(p.product_id, 'timestamp_end', p.timestamp_end) AS timestamp_end,
    p.recipe_version, p.process_params::text AS process_params, p.key, p.content_hash,
    f.sha256 AS file_sha256, f.size AS file_size,
    CASE WHEN p.target_id IS NULL THEN 1
         WHEN EXISTS (SELECT 1 FROM vo.published u WHERE u.product_id = p.product_id) THEN 1
         ELSE 0 END AS is_current
  FROM vo.product p LEFT JOIN vo.file f USING (file_id)
""",
    """
CREATE OR REPLACE VIEW archive.lineage AS
  SELECT l.product_id AS object_id, l.role, l.position, l.progenitor_id,
    p.class_name AS progenitor_class
  FROM vo.current_lineage l JOIN vo.product p ON p.product_id = l.progenitor_id
""",
    """
CREATE OR REPLACE VIEW archive.ancestors AS
  SELECT p.product_id AS object_id, a.role, a.ancestor_id, q.class_name AS ancestor_class, a.depth
  FROM vo.product p CROSS JOIN LATERAL vo.ancestors(p.product_id) a
  JOIN vo.product q ON q.product_id = a.ancestor_id
""",
    """
CREATE OR REPLACE VIEW archive.descendants AS
  SELECT p.product_id AS object_id, d.descendant_id, q.class_name AS descendant_class, d.depth
  FROM vo.product p CROSS JOIN LATERAL vo.descendants(p.product_id) d
  JOIN vo.product q ON q.product_id = d.descendant_id
""",
    """
CREATE OR REPLACE VIEW archive.publications AS
  SELECT u.publication_id, u.product_id AS object_id, p.class_name, u.target_id,
    to_char(u.published_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS published_from,
    CASE WHEN u.published_to < 'infinity'
         THEN to_char(u.published_to AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
         END AS published_to,
    u.reasons::text AS reasons
  FROM vo.publication u JOIN vo.product p USING (product_id)
""",
    """
CREATE OR REPLACE VIEW archive.targets AS
  SELECT t.target_id, t.class_name, t.instrument, t.chip, t.filter,
    to_char(t.night, 'YYYY-MM-DD') AS night, t.raw_id AS raw_object_id, t.state,
    t.reasons::text AS reasons, t.product_id AS object_id, t.dataset_id AS obs_publisher_did,
    t.validity_start, t.validity_end, f.name AS field
  FROM vo.target t LEFT JOIN vo.field f USING (field_id)
""",
    """
CREATE OR REPLACE VIEW archive.fields AS
  SELECT f.name AS field, f.ra, f.dec, f.radius, f.pixel_scale,
    array_to_string(f.instruments, '+') AS instrument, f.parameters::text AS process_params,
    f.is_valid, to_char(f.created AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS created
  FROM vo.field f
""",
    """
CREATE OR REPLACE VIEW archive.edits AS
  SELECT e.edit_id, e.product_id AS object_id, e.subject, e.field, e.old AS value_before,
    e.new AS value_after, e.who, e.why,
    to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS edit_time
  FROM vo.edit e
""",
    """
CREATE OR REPLACE VIEW archive.raw_frames AS
  SELECT p.product_id AS object_id, p.class_name, p.instrument, p.chip, p.filter,
    to_char(p.night, 'YYYY-MM-DD') AS night,
    p.attributes->>'name' AS file_name, p.attributes->>'object' AS object,
    (p.attributes->>'exptime')::float8 AS exptime, (p.attributes->>'mjd_obs')::float8 AS mjd_obs,
    (p.attributes->>'ra')::float8 AS ra, (p.attributes->>'dec')::float8 AS dec,
    (p.attributes->>'airmass')::float8 AS airmass,
    vo.was(p.product_id, 'is_valid', p.is_valid)::smallint AS is_valid, f.sha256 AS file_sha256,
    p.quality_flags, (p.attributes->>'level')::float8 AS level,
    (p.attributes->>'scatter')::float8 AS scatter,
    (p.attributes->>'flatness')::float8 AS flatness,
    (p.attributes->>'saturated')::float8 AS saturated,
    (p.attributes->>'duplicate_of')::bigint AS duplicate_of
  FROM vo.product p JOIN vo.file f USING (file_id)
  WHERE p.class_name IN ('RawBiasFrame', 'RawDarkFrame', 'RawDomeFlatFrame',
                         'RawTwilightFlatFrame', 'RawScienceFrame')
""",
    """
CREATE OR REPLACE VIEW archive.sources AS
  SELECT s.product_id * 1000000 + s.source_number AS source_id, s.product_id AS object_id,
    i.dataset_id AS obs_publisher_did, s.ra, s.dec, s.pos_err, s.mag, s.mag_err,
    s.flux, s.flux_err, s.x, s.y, s.half_light_radius, s.elongation, s.flags,
    t.filter, t.instrument AS instrument_name, t.chip,
    CASE WHEN t.field_id IS NULL OR t.raw_id IS NOT NULL THEN t.moment END AS t_mid,
    s.flux_psf, s.flux_psf_err, s.mag_psf, s.mag_psf_err, s.spread,
    s.source_number, f.name AS field
  FROM vo.source s
  JOIN vo.published u USING (product_id)
  JOIN vo.target t ON t.target_id = u.target_id
  LEFT JOIN vo.field f USING (field_id)
  LEFT JOIN vo.target i
    ON coalesce(i.raw_id::text, i.field_id::text || ' ' || i.filter)
      = coalesce(t.raw_id::text, t.field_id::text || ' ' || t.filter)
    AND i.dataset_id IS NOT NULL
    AND i.class_name IN ('CalibratedScienceFrame', 'CoaddedRegriddedFrame')
""",
    """
CREATE OR REPLACE VIEW archive.reference_stars AS
  SELECT r.product_id AS object_id, p.attributes->>'name' AS catalogue, r.name, r.ra, r.dec,
    (r.mags->>'B')::float4 AS mag_b, (r.mags->>'V')::float4 AS mag_v,
    (r.mags->>'R')::float4 AS mag_r, (r.mags->>'I')::float4 AS mag_i
  FROM vo.reference_source r JOIN vo.product p USING (product_id)
  WHERE p.is_valid >= 1
""",
)

OBSCORE: Final = (
    """
CREATE OR REPLACE VIEW vo.described AS
  SELECT 'image'::text AS dataproduct_type, o.dataproduct_subtype,
    o.calib_level::integer AS calib_level,
    vo.fact('collection') AS obs_collection, o.obs_id, o.obs_title,
    t.dataset_id AS obs_publisher_did, NULL::text AS obs_creator_did,
    vo.fact('base_url') || '/files/' || o.product_id AS access_url,
    'image/fits'::text AS access_format, o.access_estsize, o.target_name,
    NULL::text AS target_class, o.s_ra, o.s_dec, o.s_fov, o.s_region, o.s_resolution,
    o.t_min, o.t_max, o.t_exptime, NULL::float8 AS t_resolution, o.em_min, o.em_max,
    NULL::float8 AS em_res_power, 'phot.count'::text AS o_ucd, NULL::text AS pol_states,
    o.facility_name, o.instrument_name, o.s_xel1, o.s_xel2, 1::bigint AS t_xel,
    1::bigint AS em_xel, 0::bigint AS pol_xel, o.s_pixel_scale, 'em.wl'::text AS em_ucd,
    NULL::text AS preview, 'archive.' || lower(
      regexp_replace(o.dataproduct_subtype, '([a-z])([A-Z])', '\\1_\\2', 'g')) AS source_table
  FROM vo.obscore o
  JOIN vo.published u USING (product_id)
  JOIN vo.target t ON t.target_id = u.target_id
""",
    """
CREATE OR REPLACE VIEW ivoa.obscore AS
  SELECT d.dataproduct_type, d.dataproduct_subtype, d.calib_level, d.obs_collection, d.obs_id,
    d.obs_title, d.obs_publisher_did, d.obs_creator_did, d.access_url, d.access_format,
    d.access_estsize, d.target_name, d.target_class, d.s_ra, d.s_dec, d.s_fov, d.s_region,
    d.s_resolution, d.t_min, d.t_max, d.t_exptime, d.t_resolution, d.em_min, d.em_max,
    d.em_res_power, d.o_ucd, d.pol_states, d.facility_name, d.instrument_name, d.s_xel1,
    d.s_xel2, d.t_xel, d.em_xel, d.pol_xel, d.s_pixel_scale, d.em_ucd, d.preview, d.source_table
  FROM vo.described d
  WHERE NOT EXISTS (
    SELECT FROM vo.unlisted n
    WHERE n.class_name = d.dataproduct_subtype AND vo.holds(n.unlisted_from, n.unlisted_to))
""",
)
"""All images, for whoever knows an identifier; and those of published classes."""

SCRIPTS: Final = """
CREATE OR REPLACE VIEW archive.scripts AS
  SELECT s.sha256, s.name, s.declares::text AS declares, s.allowed::integer AS allowed, s.who,
    s.why, to_char(s.added AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS added
  FROM vo.script s
"""
