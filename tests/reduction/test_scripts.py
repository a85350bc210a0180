"""Users' scripts: kept by hash, run only where allowed, named by what they made."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import sep
from sqlalchemy import text

from reduction import combined_flat, frame_stack
from reduction.recipe_edits import bump
from reduction.remake import remake
from reduction.scripts import (
    add_script,
    allow_script,
    find_script,
    load_script,
    place_of,
    scripts_of,
)
from reduction.simulate import SimulationConfig, simulate
from schemas.errors import (
    AuthorizationError,
    NotFoundError,
    ParameterError,
    ReductionError,
    UnprocessableError,
)
from schemas.recipe_tables import Script
from tests.support import toy
from tests.support.toy import ToyBias, ToyFlat, ToyImage, ToyMap, work_done

if TYPE_CHECKING:
    from reduction.archive import Archive

MEDIAN = """
from dataclasses import dataclass

import numpy as np

from reduction.attributes import attribute
from reduction.target import Made
from tests.support.toy import ToyBias as Published


class ToyBias(Published):
    '''Median of the raw biases.'''

    spread = attribute(float, "largest less smallest level", unit="adu")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        OFFSET: float = 0.0
        FACTOR: float = 1.0
        MAXIMUM_LEVEL: float = 1000.0

    def compute(self, inputs, parameters):
        frames = [raw.images["RAW"] for raw in inputs.raw_bias_frames]
        bias = parameters.FACTOR * np.median(frames, axis=0).astype(np.float32)
        levels = [float(frame.mean()) for frame in frames]
        attributes = {"level": float(bias.mean()), "spread": max(levels) - min(levels)}
        return Made(images={"BIAS": bias}, attributes=attributes)
"""


@pytest.fixture
def allowing(archive: Archive) -> Archive:
    """The archive, letting allowed scripts run, with little memory and time."""
    allowed = {"scripts": "allowed", "script_s": 60.0, "script_bytes": 3_000_000_000}
    reduction = archive.settings.reduction.model_copy(update=allowed)
    archive.settings = archive.settings.model_copy(update={"reduction": reduction})
    return archive


def limited(archive: Archive, **limits: Any) -> None:
    reduction = archive.settings.reduction.model_copy(update=limits)
    archive.settings = archive.settings.model_copy(update={"reduction": reduction})


def written(folder: Path, source: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(dedent(source))
    return path


def added(archive: Archive, folder: Path, source: str) -> str:
    row = add_script(archive, written(folder, source), why="a try")
    allow_script(archive, row.sha256, why="read and found harmless")
    return row.sha256


def test_adding_a_script_reads_it_and_does_not_run_it(archive: Archive, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    source = f"open({str(trap)!r}, 'w')\nclass ToyBias: pass\nSTEPS = {{'ToyFlat': {{}}}}\n"
    path = written(tmp_path, source)
    row = add_script(archive, path, why="a try", who="eva")
    assert not trap.exists()
    assert row.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (row.name, row.who, row.allowed) == ("mine.py", "eva", False)
    assert row.declares == ["ToyBias", "step of ToyFlat"]
    assert add_script(archive, path, why="again").added == row.added
    assert [s.sha256 for s in scripts_of(archive)] == [row.sha256]
    assert find_script(archive, row.sha256[:8]).source == find_script(archive, path).source


def test_what_is_no_python_is_refused_with_its_line(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"mine\.py, line 2"):
        add_script(archive, written(tmp_path, "a = 1\ndef\n"), why="a slip")
    with pytest.raises(ParameterError, match=r"mine\.py, line 1"):
        add_script(archive, written(tmp_path, "-" * 100_000 + "1\n"), why="a joke")
    with pytest.raises(NotFoundError, match="no script"):
        find_script(archive, "0123456789")


def test_no_script_runs_unless_settings_and_an_operator_allow_it(
    archive: Archive, night: Path, tmp_path: Path
) -> None:
    trap = tmp_path / "ran"
    path = written(tmp_path, f"open({str(trap)!r}, 'w')\nclass ToyBias: pass\n")
    row = add_script(archive, path, why="a try")
    with pytest.raises(AuthorizationError, match=r"reduction\.scripts is 'off'"):
        ToyBias.get(script=row.sha256)
    limited(archive, scripts="allowed")
    with pytest.raises(AuthorizationError, match="an operator has to read it and allow it"):
        ToyBias.get(script=row.sha256)
    allow_script(archive, row.sha256, why="read")
    allow_script(archive, row.sha256, why="read again: no", allowed=False)
    with pytest.raises(AuthorizationError):
        ToyBias.get(script=row.sha256)
    assert not trap.exists()
    with archive.transaction() as session:
        edits = session.execute(text("SELECT subject, value_after FROM archive.edits")).all()
    assert [tuple(e) for e in edits] == [(f"script {row.sha256}", v) for v in ("true", "false")]


def test_a_script_s_class_makes_the_chain_and_its_products_name_it(
    allowing: Archive, night: Path, work_log: Path, tmp_path: Path
) -> None:
    published = ToyImage.get(raw="science.fits")
    digest = added(allowing, tmp_path, MEDIAN)
    own = ToyImage.get(raw="science.fits", script=digest, parameters={"ToyBias.FACTOR": 2})
    assert own.bias.level == 2 * 102.0
    assert own.bias.spread == 4.0
    assert own.bias.recipe_version == f"1+{digest}"
    assert own.bias.process_params["FACTOR"] == 2.0
    assert own.recipe_version == "1"
    assert own.level == pytest.approx(100 * (302 - 204) / (1102 - 204), rel=1e-6)
    assert ToyImage.get(raw="science.fits").object_id == published.object_id
    assert ToyBias.get().process_params.keys() == {"OFFSET", "MAXIMUM_LEVEL"}


def test_it_can_be_made_from_the_stored_source_when_the_file_is_gone(
    allowing: Archive, night: Path, work_log: Path, tmp_path: Path
) -> None:
    digest = added(allowing, tmp_path, MEDIAN)
    (tmp_path / "mine.py").unlink()
    first = ToyBias.get(script=digest[:10])
    assert ToyBias.get(script=digest).object_id == first.object_id
    assert find_script(allowing, first.recipe_version.partition("+")[2]).source == dedent(MEDIAN)
    work_done(work_log)
    assert remake(allowing, first.object_id).same


def test_another_text_is_another_recipe(allowing: Archive, night: Path, tmp_path: Path) -> None:
    first = ToyBias.get(script=added(allowing, tmp_path, MEDIAN))
    second = ToyBias.get(script=added(allowing, tmp_path, MEDIAN + "\n# the same, but for this\n"))
    assert second.object_id != first.object_id
    assert second.level == first.level


def test_a_step_is_replaced_where_the_script_says_and_nowhere_else(
    allowing: Archive, night: Path, work_log: Path, tmp_path: Path
) -> None:
    source = """
        def quiet(target):
            print("no log is written")

        STEPS = {"ToyBias": {"_log": quiet}}
    """
    digest = added(allowing, tmp_path, source)
    own = ToyImage.get(raw="science.fits", script=digest)
    assert own.bias.recipe_version == f"1+{digest}"
    assert work_done(work_log) == ["ToyFlat", "ToyImage", "ToyMap"]
    assert own.level == ToyImage.get(raw="science.fits").level
    assert "ToyBias" in work_done(work_log)


def test_a_step_that_there_is_not_is_refused(allowing: Archive, tmp_path: Path) -> None:
    digest = added(allowing, tmp_path, "STEPS = {'ToyBias': {'_lgo': print}}")
    with pytest.raises(ParameterError, match="expected _log"):
        load_script(allowing, digest)
    digest = added(allowing, tmp_path, "STEPS = {'ToyBais': {'_log': print}}")
    with pytest.raises(ParameterError, match="expected ToyBias"):
        load_script(allowing, digest)


def test_a_wrong_step_is_answered_with_the_steps_that_there_are(allowing: Archive) -> None:
    bias = allowing.registry.classes["BiasFrame"]
    steps = "combine_biases, corrected_stack, differs, .*sub_window_statistics"
    with pytest.raises(
        ParameterError, match=f"BiasFrame: combine_bias'.* combine_biases, .*{steps}"
    ):
        place_of(bias, "combine_bias")
    with pytest.raises(ParameterError, match=f"expected one of .*{steps}"):
        place_of(bias, "zzz")
    for name in ("attribute", "calibration", "BiasFrame", "parameter"):
        with pytest.raises(ParameterError) as caught:
            place_of(bias, name + "_")
        assert f" {name}," not in str(caught.value)
    assert place_of(bias, "combine_biases")[1] == "combine_biases"


OWN = """
from dataclasses import dataclass

from reduction.parameters import parameter
from tests.support.toy import ToyBias as Published


class ToyBias(Published):
    @dataclass(frozen=True, slots=True)
    class Parameters(Published.Parameters):
        OFFSET: float = 5.0
        WIDTH: float = parameter(2.0, "a width", unit="pixel", above=0.0, at_most=9.0)
        ANYTHING: int = 1
"""


def test_parameters_of_a_script_are_checked_by_what_it_declares(
    allowing: Archive, night: Path, tmp_path: Path
) -> None:
    digest = added(allowing, tmp_path, OWN)
    own = ToyBias.get(script=digest, parameters={"ToyBias.WIDTH": 9, "ToyBias.ANYTHING": -7})
    assert own.process_params | {"MAXIMUM_LEVEL": 0} == {
        "OFFSET": 5.0,
        "WIDTH": 9.0,
        "ANYTHING": -7,
        "MAXIMUM_LEVEL": 0,
    }
    assert own.level == 107.0
    for name, value, said in (
        ("WIDTH", 9.5, r"a number above 0 and up to 9 \(pixel\)"),
        ("ANYTHING", 0.5, "a whole number"),
        ("OFFSET", -500, r"a number from -100 to 10000 \(adu\)"),
        ("WITDH", 1.0, "WIDTH"),
    ):
        with pytest.raises(ParameterError, match=rf"ToyBias\.{name}: .* expected {said}$"):
            ToyBias.get(script=digest, parameters={f"ToyBias.{name}": value})
    digest = added(allowing, tmp_path, OWN.replace("parameter(2.0", "parameter(0.0"))
    with pytest.raises(ParameterError, match=r"WIDTH: found 0\.0, expected a number above 0"):
        load_script(allowing, digest)


GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "scripts.rst"


def shown_scripts() -> list[str]:
    """The Python texts of the guide, as a reader would copy them."""
    blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", GUIDE.read_text(encoding="utf-8"))
    return [dedent(block).strip() + "\n" for block in blocks if "import " in block]


@pytest.mark.slow
def test_the_scripts_of_the_guide_do_what_it_says(allowing: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "sim"
    simulate(folder, config=SimulationConfig(chips=1, shape=(64, 64), nights=("2026-01-10",)))
    assert allowing.ingest([folder / "raw"]).refused == []
    of_class, of_step = (added(allowing, tmp_path, source) for source in shown_scripts())
    published: Any = allowing.get("HotPixelMap")
    counts = [
        cast("Any", allowing.get("HotPixelMap", script=of_class, parameters=given)).count
        for given in ({"HotPixelMap.GROWTH": 0}, {}, {"HotPixelMap.GROWTH": 2})
    ]
    assert published.count == counts[0] < counts[1] < counts[2]
    with pytest.raises(ParameterError, match="a whole number from 0 to 9"):
        allowing.get("HotPixelMap", script=of_class, parameters={"HotPixelMap.GROWTH": 10})
    bias: Any = allowing.get("BiasFrame", script=of_step)
    assert bias.recipe_version.endswith(of_step)
    assert remake(allowing, bias.object_id).same


def test_a_class_of_the_script_alone_can_be_asked_for(
    allowing: Archive, night: Path, tmp_path: Path
) -> None:
    source = """
        from reduction.attributes import attribute
        from reduction.depends import calibration, of_frame
        from reduction.target import FrameTarget, Made


        class Contrast(FrameTarget):
            '''Level of the image over that of its bias.'''

            image = of_frame("ToyImage")
            bias = calibration("ToyBias")
            contrast = attribute(float, "ratio of levels")

            def compute(self, inputs, parameters):
                ratio = inputs.image["level"] / inputs.bias["level"]
                return Made(attributes={"contrast": ratio})
    """
    digest = added(allowing, tmp_path, source)
    found: Any = allowing.get("Contrast", raw="science.fits", script=digest)
    assert found.contrast == pytest.approx(20.0 / 102.0)
    assert allowing.object(found.object_id).contrast == found.contrast
    assert found.image.object_id == ToyImage.get(raw="science.fits").object_id
    again = allowing.get("Contrast", raw="science.fits", script=digest)
    assert again.object_id == found.object_id
    with pytest.raises(NotFoundError, match="no target class 'Contrast'"):
        allowing.get("Contrast", raw="science.fits")


def compute(body: str) -> str:
    lines = "\n".join("        " + line for line in dedent(body).strip().splitlines())
    return (
        "from tests.support.toy import ToyBias as Published\n\n\n"
        f"class ToyBias(Published):\n    def compute(self, inputs, parameters):\n{lines}\n"
    )


def test_a_script_that_fails_is_said_and_takes_nothing_with_it(
    allowing: Archive, night: Path, tmp_path: Path
) -> None:
    for body, words in (
        ("return 1 / 0", r"mine\.py\): line 6: ZeroDivisionError"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "ended with status -11"),
        ("return [bytes(10**9) for _ in range(9)]", "more than 3000000000 bytes of memory"),
    ):
        digest = added(allowing, tmp_path, compute(body))
        with pytest.raises(ReductionError, match=words):
            ToyBias.get(script=digest)
    assert ToyBias.get().level == 102.0


def test_a_script_that_does_not_end_is_ended(
    allowing: Archive, night: Path, tmp_path: Path
) -> None:
    limited(allowing, script_s=8.0)
    digest = added(allowing, tmp_path, compute("while True: pass"))
    with pytest.raises(ReductionError, match=r"more than 8 s|ended with status -(9|24)"):
        ToyBias.get(script=digest)


def test_a_script_refuses_a_frame_in_its_own_words(
    allowing: Archive, night: Path, tmp_path: Path
) -> None:
    body = """
        from schemas.errors import UnprocessableError
        raise UnprocessableError(f"{inputs.raw_bias_frames[0]['name']} is odd")
    """
    digest = added(allowing, tmp_path, compute(body))
    with pytest.raises(ReductionError, match=r": bias0\.fits is odd") as caught:
        ToyBias.get(script=digest)
    assert not isinstance(caught.value, UnprocessableError)


def test_a_script_s_process_has_no_settings_and_no_database(
    allowing: Archive, night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VO_DATABASE__OWNER_URL", allowing.settings.database.owner_url)
    body = """
        import os
        raise RuntimeError(",".join(sorted(n for n in os.environ if n.startswith("VO_"))) + "!")
    """
    digest = added(allowing, tmp_path, compute(body))
    with pytest.raises(ReductionError, match=r"RuntimeError\('!'\)"):
        ToyBias.get(script=digest)


def test_scripts_are_published_without_their_text(archive: Archive, tmp_path: Path) -> None:
    row = add_script(archive, written(tmp_path, MEDIAN), why="a try", who="eva")
    with archive.transaction() as session:
        found = session.execute(text("SELECT * FROM archive.scripts")).one()._mapping
    assert (found["sha256"], found["allowed"], found["who"]) == (row.sha256, 0, "eva")
    assert "source" not in found


ALL_COLUMNS = (
    "from reduction.rows import row_dtype\nfrom schemas.tables import Source\n"
    "made.rows = np.zeros(2, row_dtype(Source))\n"
)


@pytest.mark.slow
def test_what_does_not_fit_files_or_tables_is_said_with_the_script(
    allowing: Archive, night: Path, tmp_path: Path
) -> None:
    for change, words in (
        ("made.obscore = {'nonsense': 1}", "fit the archive's tables: obscore has no nonsense"),
        ("made.obscore = {'obs_id': None}", "fit the archive's tables: null value .*obs_id"),
        (
            "made.rows = np.zeros(2, [('ra', 'f8')])",
            "fit .*: rows for source have no .*half_light_radius",
        ),
        (ALL_COLUMNS + "made.rows['flags'] = 2**40", "fit .*: column flags: 1099511627776 is out"),
        ("made.images = {'A': np.zeros((9, 9), complex)}", "stored as FITS: .*complex128"),
    ):
        body = f"import numpy as np\nmade = super().compute(inputs, parameters)\n{change}\n"
        digest = added(allowing, tmp_path, compute(body + "return made"))
        label = rf"script {digest[:12]} \(mine\.py\): .*"
        with pytest.raises(ReductionError, match=label + words):
            ToyBias.get(script=digest)


def test_a_script_runs_once_and_nobody_sees_it_unfinished(
    allowing: Archive, tmp_path: Path
) -> None:
    source = """
        import time
        from dataclasses import dataclass
        from tests.support.toy import ToyBias as Published


        class ToyBias(Published):
            pass


        time.sleep(0.5)
        STEPS = {"ToyFlat": {"_log": print}}
    """
    digest = added(allowing, tmp_path, source)
    both = threading.Barrier(2)

    def load(_: int) -> Any:
        both.wait(10)
        time.sleep(0.2 * _)
        return load_script(allowing, digest)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(load, range(2))
    assert first.touched == second.touched == {"ToyBias", "ToyFlat"}
    assert first.classes == second.classes


def test_declarations_that_are_wrong_are_refused(allowing: Archive, tmp_path: Path) -> None:
    for source in ("import sys\nsys.exit(3)", "STEPS = ['ToyBias']", "STEPS = {'ToyBias': print}"):
        digest = added(allowing, tmp_path, source)
        with pytest.raises(ParameterError, match="parameter script"):
            load_script(allowing, digest)


def test_a_script_that_two_add_at_once_is_kept_once(archive: Archive, tmp_path: Path) -> None:
    path = written(tmp_path, MEDIAN)
    data = path.read_bytes()
    row = {"sha256": hashlib.sha256(data).hexdigest(), "name": "other.py", "source": MEDIAN}
    with ThreadPoolExecutor(1) as pool:
        with archive.transaction() as session:
            session.add(Script(**row, who="eva", why="first"))
            session.flush()
            late = pool.submit(add_script, archive, path, why="second")
            time.sleep(0.5)
        assert late.result(20).why == "first"
    assert [script.name for script in scripts_of(archive)] == ["other.py"]


def test_what_a_script_starts_ends_with_it(allowing: Archive, night: Path, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    body = f"""
        import subprocess
        started = subprocess.Popen(["sleep", "100"])
        open({str(told)!r}, "w").write(str(started.pid))
        return super().compute(inputs, parameters)
    """
    start = time.monotonic()
    own = ToyBias.get(script=added(allowing, tmp_path, compute(body)))
    assert own.level == 102.0
    assert time.monotonic() - start < allowing.settings.reduction.script_s
    limit = time.monotonic() + 10.0
    while _runs(int(told.read_text())):
        assert time.monotonic() < limit
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be fetched."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="ascii") as stream:  # noqa: PTH123  # not a file
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_script_prints_and_writes_no_more_than_it_may(
    allowing: Archive,
    night: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limited(allowing, script_bytes=1_500_000_000)
    body = """
        for _ in range(60):
            print("x" * 1_000_000)
        print("the last line", flush=True)
        with open("large", "wb") as stream:
            stream.truncate(1_600_000_000)
    """
    digest = added(allowing, tmp_path, compute(body))
    logger = logging.getLogger("reduction.script_run")
    monkeypatch.setattr(logger, "disabled", False)  # others may have set up logging here
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    with (
        caplog.at_level(logging.INFO, "reduction.script_run"),
        pytest.raises(ReductionError, match=r"line 10: OSError.*File too large"),
    ):
        ToyBias.get(script=digest)
    assert "the last line" in caplog.text
    assert len(caplog.text) < 10_000


def test_a_script_is_kept_with_its_reason_or_not_at_all(allowing: Archive, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("x = 1")
    with pytest.raises(ParameterError, match="the reason, in words"):
        add_script(allowing, path, why=" \n")
    assert scripts_of(allowing) == []


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("toy._log = print", "_log"),
        ("toy.ToyFlat.compute = print", "ToyFlat.compute"),
        ("import reduction.combined_flat as f; f.combine_flats = print", "combine_flats"),
        # what the class has from above it
        ("toy.ToyMap.verify = lambda self, made, parameters: 4", "ToyMap.verify"),
        ("import reduction.frame_stack as f; f._LARGE = 1", "frame_stack._LARGE"),
        ("toy.ToyFlat.SLOTS.clear()", "ToyFlat.SLOTS"),
        ("toy.ToyFlat.compute.__code__ = toy.ToyBias.compute.__code__", "ToyFlat.compute"),
        (
            "import reduction.combined_flat as f; f.combine_flats.__kwdefaults__ = {}",
            "combine_flats",
        ),
        ("import reduction._combine as c; c.combine = print", "_combine.combine"),
        ("import reduction.declared as d; d._declared = print", "declared._declared"),
        ("import numpy; numpy.median = len", "numpy.median"),
        ("from astropy.wcs import WCS; WCS.all_pix2world = print", "WCS.all_pix2world"),
        ("import reduction.rejudge as r; r.another = 1", "rejudge.another"),
    ],
)
def test_a_script_that_replaces_code_for_good_is_refused_and_what_it_did_undone(
    allowing: Archive, night: Path, tmp_path: Path, line: str, name: str
) -> None:
    def now() -> tuple[object, ...]:
        combine = combined_flat.combine_flats
        parts = combine.__kwdefaults__.copy(), ToyFlat.compute.__code__, ToyFlat.SLOTS.copy()
        return ToyFlat.compute, ToyMap.verify, toy._log, combine, np.median, *parts

    before = now()
    digest = added(allowing, tmp_path, f"import tests.support.toy as toy\n{line}\n")
    with pytest.raises(ParameterError, match=rf"it replaces .*{name}'.* in STEPS"):
        ToyBias.get(script=digest)
    assert now() == before
    assert "verify" not in vars(ToyMap)
    assert frame_stack._LARGE > 1


def test_settings_of_libraries_that_a_script_changes_are_put_back(
    allowing: Archive, night: Path, tmp_path: Path
) -> None:
    settings = "import numpy, sep\nnumpy.seterr(all='raise')\nsep.set_extract_pixstack(77)\n"
    before = np.geterr(), sep.get_extract_pixstack()
    ToyBias.get(script=added(allowing, tmp_path, settings + dedent(MEDIAN)))
    assert (np.geterr(), sep.get_extract_pixstack()) == before


def test_a_bump_reaches_what_scripts_make(
    allowing: Archive, night: Path, tmp_path: Path, work_log: Path
) -> None:
    digest = added(allowing, tmp_path, MEDIAN)
    first = ToyBias.get(script=digest)
    bump(allowing, "ToyBias", why="the lamp")
    second = ToyBias.get(script=digest)
    assert second.object_id != first.object_id
    assert second.recipe_version == f"1.1+{digest}"
    assert remake(allowing, second.object_id).same
