"""Colour-magnitude diagram of NGC 2420: ``python colour_magnitude.py URL PICTURE``."""

import sys

import matplotlib.pyplot as plt
import pyvo

QUERY = """
SELECT AVG(b.mag) - v.mag AS b_v, v.mag AS v FROM archive.sources AS v
JOIN archive.sources AS b ON DISTANCE(v.ra, v.dec, b.ra, b.dec) < 1. / 3600
WHERE v.filter = 'JohnsonV' AND v.flags = 0 AND v.mag_err < 0.05
  AND b.filter = 'JohnsonB' AND b.flags = 0 AND b.mag_err < 0.05
GROUP BY v.source_id, v.mag"""

stars = pyvo.dal.TAPService(sys.argv[1]).search(QUERY).to_table()
plt.plot(stars["b_v"], stars["v"], "k.", markersize=3)
plt.xlim(-0.1, 1.6), plt.ylim(16.5, 11)
plt.xlabel("B - V"), plt.ylabel("V"), plt.title("NGC 2420")
plt.savefig(sys.argv[2], dpi=120)
