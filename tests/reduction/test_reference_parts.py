"""Catalogue files read in parts: the same stars as at once, in memory that does not grow."""

from __future__ import annotations

__all__: list[str] = []

import gc
import gzip
import io
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io.votable import from_table, writeto
from astropy.table import MaskedColumn, Table

import reduction.reference_files
import reduction.reference_ingest
from reduction.reference import load_reference, reference_parts
from reduction.reference_files import file_parts
from schemas.errors import IngestError
from schemas.tables import Product, ReferenceSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reduction.archive import Archive

FORMS = ("csv", "csv.gz", "fits", "fits.gz", "tabledata", "binary", "binary2")
#: Rows of a file, and of a part of it: neither divides the other.
ROWS, PART = 25, 7


def stars(number: int) -> Table:
    """Stars with names of several lengths, and values that are not there."""
    rng = np.random.default_rng(5)
    v = MaskedColumn(rng.uniform(10, 20, number), mask=rng.random(number) < 0.2, unit="mag")
    return Table(
        {
            "name": [f"star {'x' * (n % 5)}{n}" for n in range(number)],
            "ra": rng.uniform(0, 360, number),
            "dec": rng.uniform(-90, 90, number),
            "V": v,
            "e_V": rng.uniform(0.01, 0.1, number).astype(np.float32),
            "count": np.arange(number),
        }
    )


def written(folder: Path, form: str, number: int = ROWS) -> Path:
    """A file of a form with so many stars."""
    found, path = stars(number), folder / f"stars.{form}"
    kind, _, packed = form.partition(".")
    if kind in {"csv", "fits"}:
        stream = io.BytesIO() if kind == "fits" else io.StringIO()
        found.write(stream, format=kind)
        said = stream.getvalue()
        content = said if isinstance(said, bytes) else said.encode()
        path.write_bytes(gzip.compress(content) if packed else content)
    else:
        document = from_table(found)
        document.get_first_table().fields[0].arraysize = "*"
        writeto(document, str(path), tabledata_format=kind)
    return path


def parts_of(path: Path, rows: int) -> list[dict[str, list[str]]]:
    with path.open("rb") as stream:
        return [{n: list(t) for n, t in part.texts.items()} for part in file_parts(stream, rows)]


@pytest.mark.parametrize("form", FORMS)
def test_parts_are_together_what_the_file_is(tmp_path: Path, form: str) -> None:
    path = written(tmp_path, form)
    parts = parts_of(path, PART)
    (whole,) = parts_of(path, 1000)
    assert [len(part["ra"]) for part in parts] == [7, 7, 7, 4]
    assert {n: [text for part in parts for text in part[n]] for n in whole} == whole
    assert whole["name"][:7] == [f"star {'x' * (n % 5)}{n}" for n in range(7)]
    assert whole["V"].count("") == int(stars(ROWS)["V"].mask.sum()) > 0
    assert [float(text) for text in whole["ra"]] == stars(ROWS)["ra"].tolist()


@pytest.mark.parametrize("form", ["tabledata", "binary", "binary2"])
def test_rows_that_fill_their_parts_are_all_there_is(tmp_path: Path, form: str) -> None:
    parts = parts_of(written(tmp_path, form, number=14), PART)
    assert [len(part["ra"]) for part in parts] == [7, 7]


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_never_in_memory_as_a_whole(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, form, number=4000)

    def most(rows: int) -> int:
        """Bytes that were in use at once, with so many rows in a part."""
        monkeypatch.setattr(reduction.reference_files.file_parts, "__defaults__", (rows,))
        gc.collect()
        tracemalloc.start()
        assert sum(len(part.ra) for part in reference_parts(path, path.name)) == 4000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    most(4000)  # what is imported and remembered once
    # astropy's tables are rubbish in circles, of some parts until it is collected
    assert 2 * most(100) < most(4000)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_ends_too_early_is_refused_and_leaves_nothing(
    archive: Archive, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reduction.reference_files.file_parts, "__defaults__", (PART,))
    path = written(tmp_path, form)
    content = path.read_bytes()
    # half of the last star is gone; FITS files end with blocks of nothing
    cut = len(content) - (10 if form.endswith("gz") or "csv" in form else 400)
    path.write_bytes(content[: cut if form != "fits" else 2880 + 2880 + 300])
    with pytest.raises(IngestError, match=path.name):
        archive.load_references(path, "stars")
    assert stored(archive) == (0, 0)
    assert not list(archive.storage.path("reference").rglob("*.*"))


def stored(archive: Archive) -> tuple[int, int]:
    """Catalogues, and stars of all."""
    with archive.transaction() as session:
        return session.query(Product).count(), session.query(ReferenceSource).count()


def test_a_row_is_named_by_its_number_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reduction.reference_files.file_parts, "__defaults__", (PART,))
    path = tmp_path / "stars.csv"
    lines = ["name,ra,dec", *(f"s{n},{n},0" for n in range(1, 20))]
    path.write_text("\n".join([*lines, "wrong,400,0"]))
    with pytest.raises(IngestError, match="ra 400, dec 0 in row 20"):
        load_reference(path)
    path.write_text("\n".join([*lines, "short,1"]))
    with pytest.raises(IngestError, match="2 fields in row 21, expected 3"):
        load_reference(path)
    tycho = ["field,ra,dec,vt", *(f"M13,{n},0,11.5" for n in range(9))]
    path.write_text("\n".join(tycho))
    assert load_reference(path).name.tolist() == [f"M13-{n}" for n in range(1, 10)]


def test_a_load_that_is_interrupted_leaves_what_was_there(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "first.csv"
    first.write_text("name,ra,dec\na,1,2\n")
    assert archive.load_references(first, "first") == 1
    monkeypatch.setattr(reduction.reference_files.file_parts, "__defaults__", (PART,))
    second = written(tmp_path, "csv")
    parts, asked = reduction.reference_ingest.reference_parts, []

    def interrupted(*words: object) -> Iterator[object]:
        asked.append(words)
        for number, part in enumerate(parts(*words)):  # type: ignore[arg-type]  # as it is asked
            if len(asked) == 2 and number == 2:
                raise KeyboardInterrupt
            yield part

    monkeypatch.setattr(reduction.reference_ingest, "reference_parts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        archive.load_references(second, "second")
    assert stored(archive) == (1, 1)
    assert archive.load_references(second, "second") == ROWS
    assert stored(archive) == (2, 1 + ROWS)
