"""Detection where more of a frame is bright, or more is together, than SEP is made for."""

from __future__ import annotations

__all__: list[str] = []

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sep

from reduction.steps.detect import detect
from schemas.errors import UnprocessableError


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0.0, 1.0, (side, side)).astype(np.float32)


def crowd(side: int) -> np.ndarray:
    """Peaks every six pixels on a plateau: a thousand parts of one detection."""
    wave = np.sin(np.arange(side))
    return noise(side) + np.float32(20.0) * (1.0 + wave[:, None] * wave).astype(np.float32)


def test_a_plateau_of_more_pixels_than_the_buffer_is_a_source():
    image = noise(700)
    image[50:610, 50:610] += 1000.0  # 313 600 pixels; SEP's buffer has 300 000
    found = detect(image, 3.0, err=1.0)
    assert found["npix"].max() >= 560**2


def test_a_crowd_of_more_parts_than_the_limit_is_detected():
    image = crowd(220)
    with pytest.raises(Exception, match="deblending overflow"):
        sep.extract(image, 3.0, err=1.0)
    assert len(detect(image, 3.0, err=1.0)) >= 1


def test_limits_are_as_before_afterwards():
    before = sep.get_extract_pixstack(), sep.get_sub_object_limit()
    detect(crowd(220), 3.0, err=1.0)
    assert (sep.get_extract_pixstack(), sep.get_sub_object_limit()) == before


def test_threads_do_not_take_each_others_limits(monkeypatch: pytest.MonkeyPatch):
    before = sep.get_extract_pixstack(), sep.get_sub_object_limit()
    images, really = [crowd(160), *[noise(30)] * 30], sep.set_sub_object_limit
    expected = [len(detect(image, 3.0, err=1.0)) for image in images]

    def slowly(limit: int) -> None:
        really(limit)
        time.sleep(0.02)  # another thread's turn

    monkeypatch.setattr(sep, "set_sub_object_limit", slowly)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda image: len(detect(image, 3.0, err=1.0)), images))
    assert found == expected
    assert (sep.get_extract_pixstack(), sep.get_sub_object_limit()) == before


def test_what_cannot_be_told_apart_is_an_error_of_ours():
    with pytest.raises(UnprocessableError, match="220 x 220 pixels cannot be told"):
        detect(crowd(220), 3.0, err=1.0, parts=1)


def test_other_errors_of_sep_are_not_taken_for_these():
    with pytest.raises(ValueError, match=r"[Mm]ask|shape|dimension"):
        detect(noise(20), 3.0, err=1.0, mask=np.zeros((3, 3), np.bool_))
