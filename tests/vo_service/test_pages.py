"""The first page, as a reader uses it."""

from __future__ import annotations

import html
import re
import subprocess
import sys
import urllib.request

from vo_service import gunicorn_settings


def test_the_example_of_the_first_page_runs_as_it_stands(observatory):
    with urllib.request.urlopen(observatory.url + "/", timeout=60) as answer:
        page = answer.read().decode()
    assert f"{observatory.url}/sia2/query" in page
    assert "ask in either mode" in page
    example = html.unescape(re.search("<pre>(.*?)</pre>", page, re.DOTALL)[1])
    done = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "mag" in done.stdout
    assert "obs_publisher_did" in done.stdout


def test_the_web_server_leaves_no_socket_in_the_home_folder():
    assert gunicorn_settings.control_socket_disable
    assert "control_socket_disable" in gunicorn_settings.__all__
