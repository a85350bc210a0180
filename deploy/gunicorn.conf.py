"""For those who run Gunicorn themselves, with ``-c deploy/gunicorn.conf.py vo_service.wsgi:app``.

The settings come from the service's own (``VO_SETTINGS``, ``VO_...``); override them below.
"""

from vo_service.gunicorn_settings import *  # noqa: F403
