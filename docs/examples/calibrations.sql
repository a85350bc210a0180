SELECT p.night, l.role, q.class_name, q.night AS made_of, q.object_id, COUNT(*) AS frames
FROM archive.products AS p
JOIN archive.lineage AS l ON l.object_id = p.object_id
JOIN archive.products AS q ON q.object_id = l.progenitor_id
WHERE p.class_name = 'ReducedScienceFrame' AND p.is_current = 1
  AND p.instrument = 'mit_wallace' AND l.role IN ('bias', 'dark', 'hot', 'flat')
GROUP BY p.night, l.role, q.class_name, q.night, q.object_id
ORDER BY p.night, l.role
