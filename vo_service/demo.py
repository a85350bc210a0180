"""The demonstration: a small archive, the main story on it, and then a service to play with."""

from __future__ import annotations

__all__ = ["run_demo"]

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import numpy as np

from reduction.ingest import raw_files
from reduction.operate import edit
from reduction.simulate import SimulationConfig, simulate
from schemas.errors import FatalError
from vo_service.commands.common import CONSOLE, progress_bar
from vo_service.demo_field import tell_of_a_field
from vo_service.demo_real import REAL_FRAMES, REAL_REFERENCES, tell_of_real_frames
from vo_service.demo_story import Story, Teller
from vo_service.home import Home
from vo_service.opening import open_archive
from vo_service.state import StateFile
from vo_service.supervise import check_port, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.table import Table

    from reduction.archive import Archive

_CHIP: Final = "ccd50"
_OTHER_CHIP: Final = "ccd51"
_NIGHTS: Final = ("2025-03-01", "2025-03-02")
_CATALOGUE: Final = (
    "SELECT source_id, ra, dec, mag, flux, obs_publisher_did FROM archive.sources "
    f"WHERE instrument_name = 'simulated' AND chip = '{_CHIP}' ORDER BY source_id"
)
_READY: Final = "serving "


def run_demo(
    data: Path | None, default: Path, *, raw: Path | None, port: int | None, check: bool
) -> int:
    """Tell the story; then serve until told to stop, or with ``check`` stop at once.

    Parameters
    ----------
    data
        Folder of the archive; None for ``default``, or with ``check`` for one that is removed.
    default
        Folder where the command line names none.
    raw
        Folder with real frames and reference catalogues to tell of too.
    port
        Port of the web server; None for that of the settings (with ``check``: any free one).
    check
        Whether to stop everything afterwards.

    Returns
    -------
    int
        0 if everything was as it should be, else 1.
    """
    if check and data is None:
        folder = Path(tempfile.mkdtemp(prefix="vo-demo-"))
        folder.chmod(0o711)  # root's database server is another user
        try:
            return _run(folder / "data", raw, 0 if port is None else port, check=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return _run(data or default, raw, port, check=check)


def _run(data: Path, raw: Path | None, port: int | None, *, check: bool) -> int:
    home = Home(data)
    home.prepare()
    StateFile(home.run).refuse_second()
    web = home.asked.web
    if port != 0:
        check_port(web.host, web.port if port is None else port)
    chosen = port or (free_port(web.host) if port == 0 else web.port)
    teller = Teller(lambda line: CONSOLE.print(line, markup=False))
    try:
        teller.say(f"the archive is in {home.data}")
        archive = open_archive(home)
        _bring_in(home, archive, raw, teller)
        with _service(home, chosen) as (process, url):
            _tell(Story(url, archive, teller), archive, home, teller, real=raw is not None)
            code = _conclude(teller)
            if not check:
                _invite(home, url)
                with contextlib.suppress(KeyboardInterrupt):  # the end that was announced
                    code = process.wait()
        archive.close()
    finally:
        if (cluster := home.cluster) is not None:
            cluster.stop()
    return code


# -- frames ------------------------------------------------------------------------------------


def _bring_in(home: Home, archive: Archive, raw: Path | None, teller: Teller) -> None:
    """Make simulated frames, and ingest them and the real ones."""
    teller.chapter("1. Raw frames come in")
    simulated = home.data / "simulated"
    if not (simulated / "complete").is_file():
        config = SimulationConfig()
        first, second = ((night,) for night in _NIGHTS)
        simulate(simulated / "first", config=replace(config, nights=first))
        later = replace(config, nights=second)
        simulate(simulated / "second", config=replace(later, n_dome=0, n_twilight=0))
        simulate(simulated / "flats", config=replace(later, n_bias=0, n_science=0))
        (simulated / "complete").touch()
    folders = [simulated / "first" / "raw", simulated / "second" / "raw"]
    references = {"simulated": simulated / "first" / "reference.csv"}
    if raw is not None:
        folders += [raw / name for name in REAL_FRAMES if (raw / name).is_dir()]
        tables = raw / "reference_catalogues"
        named = {name: tables / file for name, file in REAL_REFERENCES.items()}
        references |= {name: path for name, path in named.items() if path.is_file()}
    files = list(raw_files(folders))
    with progress_bar("ingesting", len(files)) as done:
        report = archive.ingest(files, lambda path: done(path.name))
    teller.say(
        f"       {report.ingested} files ({report.frames} frames) taken, {report.known} known"
    )
    for name, sentence in report.refused:
        teller.say(f"       refused: {name}: {sentence}")
    for name, path in references.items():
        number = archive.load_references(path, name)
        teller.say(f"       reference catalogue {name}: {number or 'known'}")
    teller.verify("every frame was understood", holds=not report.refused)
    again = archive.ingest(files[:5])
    teller.verify("a file that is there already is left alone", holds=again.ingested == 0)


# -- the service -------------------------------------------------------------------------------


@contextlib.contextmanager
def _service(home: Home, port: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``vo-service serve`` beside this process."""
    command = [sys.executable, "-m", "vo_service", "--data", str(home.data), "serve"]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    said = cast("TextIO", process.stdout)  # it was asked for
    try:
        line = said.readline()
        if not line.startswith(_READY):
            message = f"the service did not start; {home.logs} tells more"
            raise FatalError(message)
        yield process, line.removeprefix(_READY).strip()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait()
        said.close()


# -- the story ---------------------------------------------------------------------------------


def _tell(story: Story, archive: Archive, home: Home, teller: Teller, *, real: bool) -> None:
    _forgive(story, archive)
    teller.chapter("2. A client asks for a catalogue; a raw frame turns out bad; it asks again")
    teller.say(f"       TAP: {_CATALOGUE}")
    story.rejected_frame(_CHIP, _NIGHTS[0], lambda: story.ask(_CATALOGUE), _same_rows)

    teller.chapter("3. The same with a cutout of an image")
    image = story.image(_OTHER_CHIP)
    dataset = str(image["obs_publisher_did"])
    circle = (float(image["s_ra"]), float(image["s_dec"]), 0.002)
    teller.say(f"       SODA: {dataset} CIRCLE {circle[0]:.5f} {circle[1]:.5f} {circle[2]}")
    story.rejected_frame(
        _OTHER_CHIP, _NIGHTS[0], lambda: story.cutout(dataset, circle), _same_pixels
    )

    teller.chapter("4. New flats of the second night arrive")
    _new_flats(story, archive, home, teller)

    teller.chapter("5. Recipes are improved")
    story.outdated_recipe("SourceList", lambda: story.ask(_CATALOGUE))
    story.outdated_recipe("BiasFrame", lambda: story.ask(_CATALOGUE))

    teller.chapter("6. Two chips and two nights as one field")
    tell_of_a_field(story, archive, teller)

    if real:
        teller.chapter("7. The real frames")
        tell_of_real_frames(story, teller)


def _forgive(story: Story, archive: Archive) -> None:
    """Take back what an earlier demonstration rejected."""
    rejected = story.numbers(
        "SELECT object_id FROM archive.raw_frames WHERE class_name = 'RawBiasFrame' "
        "AND instrument = 'simulated' AND is_valid = 0"
    )
    for number in rejected:
        edit(archive, number, "is_valid", 1, why="demonstration: taken back")


def _new_flats(story: Story, archive: Archive, home: Home, teller: Teller) -> None:
    flats = list(raw_files([home.data / "simulated" / "flats" / "raw"]))
    report = archive.ingest(flats)
    if not report.ingested:
        teller.say("       (they came in an earlier demonstration)")
        return
    before = story.current()
    answer = story.ask(_CATALOGUE)
    after = story.current()
    changed = sorted(t for t, product in after.items() if before.get(t) != product)
    teller.verify(
        f"{report.ingested} files came; the same question: {answer.remade} targets were remade",
        holds=len(changed) > 0 and (answer.waited or answer.remade == len(changed)),
    )
    listed = ", ".join(str(number) for number in changed) or "0"
    lists = f"SELECT object_id FROM archive.targets WHERE target_id IN ({listed}) "
    of_night = story.numbers(
        f"{lists} AND class_name = 'SourceList' AND night = '{_NIGHTS[1]}' AND chip = '{_CHIP}'"
    )
    master = story.numbers(
        "SELECT object_id FROM archive.targets WHERE class_name = 'MasterFlatFrame' "
        f"AND chip = '{_CHIP}' AND night = '{_NIGHTS[1]}'"
    )
    using = [
        number
        for number in of_night
        if master[0]
        in story.numbers(
            f"SELECT ancestor_id FROM archive.ancestors WHERE object_id = {number} "
            "AND ancestor_class = 'MasterFlatFrame'"
        )
    ]
    teller.verify(
        f"the {len(of_night)} catalogues of that night now rest on the better flat",
        holds=bool(of_night) and len(using) == len(of_night),
    )


def _same_rows(one: Table, other: Table) -> bool:
    if len(one) != len(other):
        return False
    return all(
        np.array_equal(np.ma.filled(one[n]), np.ma.filled(other[n])) for n in ("ra", "dec", "flux")
    )


def _same_pixels(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    return np.array_equal(one, other, equal_nan=True)


# -- the end -----------------------------------------------------------------------------------


def _conclude(teller: Teller) -> int:
    teller.say("")
    if teller.wrong:
        teller.say(f"{teller.verified} sentences verified, {len(teller.wrong)} WRONG:")
        for sentence in teller.wrong:
            teller.say(f"  {sentence}")
        return 1
    teller.say(f"{teller.verified} sentences verified, none wrong")
    return 0


def _invite(home: Home, url: str) -> None:
    """Say what to try next."""
    program = Path(sys.executable).with_name("vo-service")
    lines = (
        "",
        "What to try next:",
        f"  a browser     {url}/",
        f"  TOPCAT        VO > Table Access Protocol, TAP URL {url}/tap, Mode: Synchronous",
        f"  Python        pyvo.dal.TAPService('{url}/tap').run_sync('{_SHORT}')",
        f"  a terminal    {program} --data {home.data} status",
        f"                {program} --data {home.data} why SourceList --chip {_CHIP}",
        "Ctrl-C ends everything; running this again goes on from here.",
        "",
        f"{_READY}{url}",
    )
    for line in lines:
        CONSOLE.print(line, markup=False)


_SHORT: Final = "SELECT TOP 5 ra, dec, mag FROM archive.sources"
