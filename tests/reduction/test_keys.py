"""Keys and hashes: the same for the same content however it is held, another for any other."""

from __future__ import annotations

__all__: list[str] = []

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reduction.keys import canonical_json, content_hash, hash_of
from reduction.parameters import near_names
from reduction.pars import split_key
from schemas.errors import ParameterError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3)
    ),
    max_leaves=8,
)
IMAGE = arrays.arrays(np.float32, (3, 4), elements=st.floats(-100, 100, width=32))


@settings(deadline=None, derandomize=True)
@given(st.dictionaries(st.text(max_size=4), JSON, max_size=5), st.randoms())
def test_the_order_in_which_keys_were_put_in_does_not_matter(value, random) -> None:
    names = list(value)
    random.shuffle(names)
    text = canonical_json(value)
    assert canonical_json({name: value[name] for name in names}) == text
    assert text.isascii()
    assert json.loads(text) == value
    assert hash_of(value) == hash_of(json.loads(text))


@settings(deadline=None, derandomize=True)
@given(JSON, JSON)
def test_values_that_differ_have_other_hashes(one, other) -> None:
    alike = canonical_json(one) == canonical_json(other)
    assert (hash_of(one) == hash_of(other)) == alike


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [1, {"a": math.nan}]])
def test_what_json_has_no_word_for_has_no_key(value) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)


@pytest.mark.parametrize("value", [{1, 2}, np.float32(1), b"x", object()])
def test_what_is_no_json_has_no_key(value) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(IMAGE)
def test_content_is_the_same_however_memory_holds_it(image) -> None:
    expected = content_hash({"IMAGE": image}, {})
    held = [
        image.astype(">f4"),
        image.astype("<f4"),
        np.asfortranarray(image),
        np.repeat(image, 2, axis=1)[:, ::2],
    ]
    assert {content_hash({"IMAGE": each}, {}) for each in held} == {expected}


@settings(deadline=None, derandomize=True, max_examples=60)
@given(IMAGE, st.integers(0, 11))
def test_any_pixel_that_differs_makes_other_content(image, place) -> None:
    other = image.copy()
    other.flat[place] = np.nextafter(other.flat[place], np.float32(1000))
    assert content_hash({"IMAGE": image}, {}) != content_hash({"IMAGE": other}, {})


def test_shape_type_name_and_attributes_are_content() -> None:
    image = np.zeros((2, 6), np.float32)
    found = [
        content_hash({"IMAGE": image}, {}),
        content_hash({"IMAGE": image.reshape(6, 2)}, {}),
        content_hash({"IMAGE": image.view(np.int32)}, {}),
        content_hash({"MASK": image}, {}),
        content_hash({"IMAGE": image, "MASK": image}, {}),
        content_hash({"IMAGE": image}, {"n": 1}),
        content_hash({"IMAGE": image}, {"n": 1.5}),
        content_hash({}, {}),
    ]
    assert len(set(found)) == len(found)


def test_rows_and_tables_are_content_by_their_columns() -> None:
    rows = np.zeros(3, [("ra", "f8"), ("flags", "i4")])
    other = rows.copy()
    other["flags"][2] = 1
    renamed = rows.astype([("dec", "f8"), ("flags", "i4")])
    found = [
        content_hash({}, {}),
        content_hash({}, {}, rows),
        content_hash({}, {}, other),
        content_hash({}, {}, renamed),
        content_hash({}, {}, rows[:2]),
        content_hash({}, {}, None, {"STARS": rows}),
        content_hash({}, {}, None, {"FRAMES": rows}),
        content_hash({}, {}, rows, {"STARS": rows}),
    ]
    assert len(set(found)) == len(found)
    assert content_hash({}, {}, rows.astype([("ra", ">f8"), ("flags", ">i4")])) == found[1]


def test_an_image_without_pixels_has_a_hash_and_its_shape_counts() -> None:
    shapes = [(0, 5), (5, 0), (0, 0)]
    assert len({content_hash({"A": np.empty(shape)}, {}) for shape in shapes}) == 3


@pytest.mark.parametrize("key", ["BiasFrame.SIGMA_CLIP", "BiasFrame.process_params.SIGMA_CLIP"])
def test_a_key_names_a_class_and_a_parameter(key: str) -> None:
    assert split_key(key) == ("BiasFrame", "SIGMA_CLIP")


@pytest.mark.parametrize("key", ["", "SIGMA_CLIP", "A.b.C", "A.process_params.B.C", "A.B.C.D"])
def test_what_is_no_key_is_answered_with_one(key: str) -> None:
    with pytest.raises(ParameterError, match=r"expected a key such as BiasFrame\.process_params"):
        split_key(key)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sigma_clip", "SIGMA_CLIP"),
        ("SIGMACLIP", "SIGMA_CLIP"),
        ("MAX_RM", "MAX_RMS"),
        ("zzz", "one of MAX_RMS, SIGMA_CLIP"),
    ],
)
def test_a_wrong_name_is_answered_with_those_like_it_or_with_all(name: str, said: str) -> None:
    assert near_names(name, ["SIGMA_CLIP", "MAX_RMS"]) == said
    assert near_names(name, []) == "none: there are no parameters"
