"""Source collections: what is asked for is computed, nothing else; alike in SQL and numpy."""

from __future__ import annotations

__all__: list[str] = []

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Double, Integer, column, select, text, values
from sqlalchemy.dialects import postgresql

from reduction.collection.expressions import parse_expression
from reduction.collection.functions import FUNCTIONS
from reduction.collection.operators import from_json
from reduction.collection.source_collection import SourceCollection
from reduction.collection.store import store_collection
from reduction.rows import copy_query
from schemas.errors import NotFoundError, ParameterError
from tests.support.catalogued import kept_product, some_sources

if TYPE_CHECKING:
    from reduction.archive import Archive


def lists(archive: Archive, *lengths: int) -> list[int]:
    """Source lists of so many sources."""
    with archive.transaction() as session:
        return [
            kept_product(session, f"list {n}", some_sources(length, seed=n))
            for n, length in enumerate(lengths)
        ]


def test_of_ten_attributes_the_two_asked_for_are_computed_and_nothing_else(
    archive: Archive,
) -> None:
    every = SourceCollection.of(*lists(archive, 50, 30))
    whole = every
    for number in range(10):
        whole = whole.calculate(f"a{number}", f"x * {number} + y")
    whole = whole.calculate("twice", "2 * a3")
    pulled = whole.pulled("a7", "twice")
    assert pulled.rows.dtype.names == ("object_id", "source_number", "a7", "twice")
    assert pulled.in_database == {"a3", "a7", "twice"}  # a3 is what twice is made of
    assert pulled.in_numpy == set()
    assert pulled.cells == 2 * 80
    (statement,) = pulled.statements
    assert "mag" not in statement
    source = every.pull("x", "y")
    np.testing.assert_allclose(pulled.rows["a7"], 7 * source["x"] + source["y"], rtol=1e-12)
    np.testing.assert_allclose(pulled.rows["twice"], 6 * source["x"] + 2 * source["y"], rtol=1e-12)


def test_what_sql_cannot_say_is_done_here_and_what_is_below_it_in_the_database(
    archive: Archive,
) -> None:
    whole = (
        SourceCollection.of(*lists(archive, 200))
        .calculate("snr", "flux / flux_err")
        .filter("dec > 0 and snr > 0")
        .calculate("b", "galactic_b(ra, dec)")
        .filter("b > 30")
        .calculate("unused", "galactic_l(ra, dec)")
    )
    pulled = whole.pulled("b", "snr", "flags")
    assert (pulled.in_numpy, pulled.in_database) == ({"b"}, {"snr"})
    assert len(pulled.statements) == 1
    assert (pulled.rows["b"] > 30).all()
    assert pulled.rows["flags"].dtype == np.int64
    assert 0 < len(pulled.rows) < 200
    without = whole.pulled("snr")
    assert without.in_numpy == {"b"}  # the filter needs it


def test_attributes_and_sources_of_collections_are_brought_together(archive: Archive) -> None:
    one, two = lists(archive, 40, 60)
    first, both = SourceCollection.of(one), SourceCollection.of(one, two)
    bright = both.filter("flux > 0").select("ra", "dec", "flux").rename(brightness="flux")
    assert list(bright.attributes) == ["ra", "dec", "brightness"]
    selected = first.also_in(bright)
    assert (selected.pull("flux")["flux"] > 0).all()
    assert set(selected.pull("flux")["object_id"]) == {one}
    joined = both.calculate("s", "x + y").with_attributes(bright)
    rows = joined.pull("s", "brightness", "mag")
    assert len(rows) == len(bright.pull("ra"))
    again = both.pull("x", "y", "flux")
    again = again[again["flux"] > 0]
    np.testing.assert_allclose(rows["s"], again["x"] + again["y"], rtol=1e-12)
    np.testing.assert_array_equal(rows["brightness"], again["flux"])
    united = first.with_sources(bright.rename(flux="brightness"))
    assert list(united.attributes) == ["ra", "dec", "flux"]
    assert len(united.pull("ra")) == 40 + (again["object_id"] == two).sum()
    for collection in (selected, joined, united):
        # the same by numpy: an attribute that SQL cannot say holds back all above it
        held = collection.calculate("g", "galactic_b(ra, dec)").filter("g > -100")
        np.testing.assert_array_equal(held.pull("ra"), collection.pull("ra"))
    by_numpy = both.calculate("g", "galactic_b(ra, dec)")
    tangled = by_numpy.with_attributes(bright).also_in(by_numpy.filter("g > 0"))
    rows = tangled.pull("g", "brightness")
    assert (rows["g"] > 0).all()
    overlapping = by_numpy.with_sources(by_numpy.filter("g > 0"))
    assert len(overlapping.pull("g")) == 100


def test_a_collection_that_names_more_operators_than_can_be_walked_is_refused(
    archive: Archive,
) -> None:
    whole = SourceCollection.of(*lists(archive, 5))
    for _ in range(40):
        whole = whole.with_sources(whole.filter("mag < 15"))
    with pytest.raises(ParameterError, match="operators', expected at most 2000"):
        whole.pull("mag")


def test_of_two_that_store_a_name_at_once_one_is_told(archive: Archive) -> None:
    whole = SourceCollection.of(*lists(archive, 5))
    tree = whole.tree
    with archive.transaction() as session:
        store_collection(session, tree, "mine", ["mag"])

        def other() -> None:
            with archive.transaction() as another:
                store_collection(another, tree, "mine", ["mag"])

        with ThreadPoolExecutor(1) as pool:
            told = pool.submit(other)
            time.sleep(0.5)  # it has looked, and waits for the end of ours
            session.commit()
            with pytest.raises(ParameterError, match="a name that no stored collection has"):
                told.result(timeout=30)


def test_of_a_source_in_two_parts_the_first_counts_in_the_database_and_here(
    archive: Archive,
) -> None:
    a = SourceCollection.of(*lists(archive, 20))
    more, less = a.calculate("c", "x + 1"), a.calculate("c", "x - 1")
    for first, other, step in ((more, less, 1.0), (less, more, -1.0)):
        both = first.with_sources(other)
        here = both.calculate("g", "galactic_l(ra, dec)").pull("c", "g")["c"]
        assert both.pulled("c").in_numpy == set()
        np.testing.assert_allclose(both.pull("c")["c"], a.pull("x")["x"] + step)
        np.testing.assert_array_equal(here, both.pull("c")["c"])


@pytest.mark.parametrize("wrong", ["x < 1e999", "x + 1" + "0" * 400])
def test_a_number_that_no_column_holds_is_refused(archive: Archive, wrong: str) -> None:
    with pytest.raises(ParameterError, match=r"numbers below 1\.8e308"):
        parse_expression(wrong)


def test_a_stored_collection_is_found_again_by_what_it_is(archive: Archive) -> None:
    numbers = lists(archive, 100)

    def made() -> SourceCollection:
        return SourceCollection.of(*numbers).calculate("snr", "flux/flux_err").filter("mag<15")

    kept = made().store("bright ones")
    pulled = made().filter("snr > 0").pulled("snr", "ra")
    assert (pulled.in_database, len(pulled.reused)) == (set(), 1)
    loaded = SourceCollection.load("bright ones")
    assert loaded.key == kept.key == made().key
    assert loaded.key != made().filter("snr > 0").key
    plain = SourceCollection.of(*numbers).calculate("ratio", "flux / flux_err")
    again = plain.filter("mag < 15 and ratio > 0").pull("ratio", "ra")
    np.testing.assert_array_equal(pulled.rows["ra"], again["ra"])
    np.testing.assert_array_equal(pulled.rows["snr"], again["ratio"])
    with archive.transaction() as session:
        stored = session.execute(
            text("SELECT collection, n_sources, is_current FROM archive.collections")
        ).all()
        values = session.execute(
            text("SELECT count(*), count(val), min(attribute) FROM archive.collection_values")
        ).one()
        inputs = session.execute(text("SELECT object_id FROM archive.collection_inputs")).all()
    length = len(made().pull("ra"))
    assert stored == [("bright ones", length, 0)]  # its list was never published
    assert tuple(values) == (length, length, "snr")
    assert [row.object_id for row in inputs] == numbers
    with pytest.raises(ParameterError, match="no stored collection has"):
        made().store("bright ones")
    with pytest.raises(NotFoundError, match="bright ones"):
        SourceCollection.load("faint ones")


def test_a_tree_is_what_its_json_says(archive: Archive) -> None:
    one = SourceCollection.of(*lists(archive, 5, 6))
    tree = (
        one.calculate("c", "mag - 0.5", unit="mag", description="shifted")
        .filter("not (c > 3) or known(mag)")
        .rename(colour="c")
        .also_in(one.filter("x > 0"))
        .with_attributes(one.select("y"))
        .with_sources(one.calculate("colour", "y"))
        .select("ra", "colour")
    ).tree
    assert from_json(tree.as_json()) == tree
    assert repr(SourceCollection(tree)).endswith("2 source lists>")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("__import__('os').system('true')", "numbers, attributes"),
        ("__import__(x)", "one of the functions"),
        ("().__class__", "numbers, attributes"),
        ("(lambda: 1)()", "numbers, attributes"),
        ("[x for x in y]", "numbers, attributes"),
        ("'text'", "numbers, attributes"),
        ("x if y else z", "numbers, attributes"),
        ("x.real", "numbers, attributes"),
        ("x @ y", "numbers, attributes"),
        ("f'{x}'", "numbers, attributes"),
        ("sqrt(x, y)", "sqrt of 1 values"),
        ("sqrt(x=1)", "numbers, attributes"),
        ("True", "numbers, attributes"),
        ("1j", "numbers, attributes"),
        ("x +", "an expression"),
        ("x = 1", "an expression"),
        ("(x > 1) + 1", "a number"),
        ("x and y", "a condition"),
        ("where(x, 1, 2)", "a condition"),
        ("+".join("x" * 400), "at most 300 parts"),
        ("x" * 3000, "at most 2000"),
        ("(" * 900 + "x" + ")" * 900, "an expression"),
    ],
)
def test_the_language_has_nothing_but_what_it_says(wrong: str, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        parse_expression(wrong)


def test_names_that_are_not_there_or_taken_are_refused(archive: Archive) -> None:
    every = SourceCollection.of(*lists(archive, 3))
    for wrong in (
        lambda: every.filter("nothing > 1"),
        lambda: every.filter("mag + 1"),
        lambda: every.select("nothing"),
        lambda: every.calculate("mag", "flux"),
        lambda: every.calculate("bad name", "flux"),
        lambda: every.calculate("object_id", "flux"),
        lambda: every.rename(mag="flux"),
        lambda: every.pull("nothing"),
        lambda: every.calculate("huge", "1e300 * x * 1e300 * 1e300").pull("huge"),
        lambda: every.store("bad/name"),
    ):
        with pytest.raises(ParameterError):
            wrong()
    with pytest.raises(NotFoundError, match="no SourceList"):
        SourceCollection.of(987654).pull("ra")


_LEAVES = st.sampled_from(["x", "y", "m", "0", "1.5", "-2", "flags"])
#: What both compute to the last bit: rounding does not decide where a value jumps.
_EXACT = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from([*"+-*&|"]), inner),
        st.builds("{}({})".format, st.sampled_from(["abs", "floor", "ceil"]), inner),
        st.builds("least({}, {})".format, inner, inner),
        st.builds("greatest({}, {})".format, inner, inner),
    ),
    max_leaves=4,
)
_CONDITIONS = st.recursive(
    st.one_of(
        st.builds("({} {} {})".format, _EXACT, st.sampled_from(["<", ">=", "==", "!="]), _EXACT),
        st.builds("({} < {} <= {})".format, _EXACT, _EXACT, _EXACT),
        st.builds("known({} / {})".format, _EXACT, _EXACT),
    ),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=3,
)
_SMOOTH = sorted(
    name
    for name, function in FUNCTIONS.items()
    if function.takes == (False,) and not function.truth and name not in ("floor", "ceil")
)
_NUMBERS = st.recursive(
    _EXACT,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from([*"+-*/", "**"]), _LEAVES),
        st.builds("{}({})".format, st.sampled_from(_SMOOTH), inner),
        st.builds("where({}, {}, {})".format, _CONDITIONS, inner, inner),
        st.builds("separation({}, {}, x, y)".format, inner, inner),
        st.builds("atan2d({}, {})".format, inner, inner),
    ),
    max_leaves=4,
)


@pytest.fixture
def columns() -> dict[str, np.ndarray]:
    """Values small and large, whole and not, and none."""
    values = np.array([0.0, 1.0, -1.0, 2.5, -3.25, 7.0, np.nan, 100.0, 1e-3, 12.0])
    x, y = (grid.ravel() for grid in np.meshgrid(values, values))
    return {"x": x, "y": y, "m": np.where(np.arange(100) % 3 == 0, np.nan, y), "flags": np.rint(x)}


def test_an_expression_means_the_same_in_the_database_and_in_numpy(
    archive: Archive, columns: dict[str, np.ndarray]
) -> None:
    rows = [
        (n, *(None if np.isnan(array[n]) else float(array[n]) for array in columns.values()))
        for n in range(100)
    ]
    table = values(
        column("n", Integer), *(column(name, Double) for name in columns), name="t"
    ).data(rows)

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(st.one_of(_NUMBERS, _CONDITIONS))
    def check(words: str) -> None:
        expression = parse_expression(words)
        assert expression.pushable
        with np.errstate(all="ignore"):
            here = expression.numpy(columns, 100)
        if not expression.truth and (np.abs(here[np.isfinite(here)]) > 1e15).any():
            return  # rounding decides
        value = expression.sql({name: table.c[name] for name in columns})
        if expression.truth:
            value = value.cast(Integer)
        query = select(table.c.n - table.c.n, table.c.n, value)
        statement = query.compile(
            dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}
        )
        with archive.transaction() as session:
            there = copy_query(session, str(statement), ["v"])["v"]
        np.testing.assert_allclose(there, here.astype(float), rtol=1e-9, atol=1e-9)

    check()
