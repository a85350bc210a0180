"""SQL of what users query of associations, combined sources and light curves.

The role ``associations`` of a product is its association list, whose number and an association's
name a star.
"""

from __future__ import annotations

__all__ = ["LIST_VIEWS"]

from typing import Final

LIST_VIEWS: Final = (
    """
CREATE OR REPLACE VIEW archive.associates AS
  SELECT a.product_id AS associate_list_id, a.association,
    l.progenitor_id AS source_list_id,
    l.progenitor_id * 1000000 + a.source_number AS source_id, a.distance AS separation, a.flag,
    (SELECT f.name FROM vo.field f WHERE f.field_id = t.field_id) AS field
  FROM vo.associate a
  JOIN vo.published u USING (product_id)
  JOIN vo.target t ON t.target_id = u.target_id
  JOIN vo.current_lineage l
    ON l.product_id = a.product_id AND l.role = 'source_lists' AND l.position = a.list
""",
    """
CREATE OR REPLACE VIEW archive.combined_sources AS
  SELECT c.product_id AS object_id, k.progenitor_id AS associate_list_id, c.association,
    c.ra, c.dec, c.pos_err, c.n_sources,
    c.mag_u, c.mag_u_err, c.mag_b, c.mag_b_err, c.mag_v, c.mag_v_err, c.mag_r, c.mag_r_err,
    c.mag_i, c.mag_i_err, c.mag_sdss_u, c.mag_sdss_u_err, c.mag_sdss_g, c.mag_sdss_g_err,
    c.mag_sdss_r, c.mag_sdss_r_err, c.mag_sdss_i, c.mag_sdss_i_err,
    c.mag_sdss_z, c.mag_sdss_z_err,
    c.flags,
    (SELECT f.name FROM vo.field f WHERE f.field_id = t.field_id) AS field,
    c.mag_vt, c.mag_vt_err
  FROM vo.combined_source c
  JOIN vo.published u USING (product_id)
  JOIN vo.target t ON t.target_id = u.target_id
  JOIN vo.current_lineage k
    ON k.product_id = u.product_id AND k.role = 'associations' AND k.position = 0
""",
    """
CREATE OR REPLACE VIEW archive.light_curves AS
  SELECT p.product_id AS object_id, k.progenitor_id AS associate_list_id, p.association,
    p.mjd, p.mag, p.mag_err, p.flag, l.progenitor_id AS source_list_id,
    l.progenitor_id * 1000000 + p.source_number AS source_id, t.filter,
    (SELECT f.name FROM vo.field f WHERE f.field_id = t.field_id) AS field
  FROM vo.light_curve_point p
  JOIN vo.published u USING (product_id)
  JOIN vo.target t ON t.target_id = u.target_id
  JOIN vo.current_lineage k
    ON k.product_id = u.product_id AND k.role = 'associations' AND k.position = 0
  JOIN vo.current_lineage l
    ON l.product_id = p.product_id AND l.role = 'source_lists' AND l.position = p.list
""",
    """
CREATE OR REPLACE VIEW archive.variables AS
  SELECT v.product_id AS object_id, k.progenitor_id AS associate_list_id, v.association,
    v.ra, v.dec, v.n_epochs, v.mag, v.mag_err, v.median AS mag_median, v.rms, v.mad, v.chi2,
    v.amplitude, v.stetson, v.flag, t.filter,
    (SELECT f.name FROM vo.field f WHERE f.field_id = t.field_id) AS field
  FROM vo.variable v
  JOIN vo.published u USING (product_id)
  JOIN vo.target t ON t.target_id = u.target_id
  JOIN vo.current_lineage k
    ON k.product_id = u.product_id AND k.role = 'associations' AND k.position = 0
""",
)
