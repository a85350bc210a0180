"""The main story, told over the protocols: ask, reject a frame, ask again, ask a third time."""

from __future__ import annotations

__all__ = ["Answer", "Story", "Teller"]

import io
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np
import pyvo
from astropy.io import fits
from pyvo.dal.adhoc import SodaQuery
from pyvo.dal.exceptions import DALQueryError, DALServiceError

from reduction.operate import bump, edit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from astropy.table import Row, Table

    from reduction.archive import Archive

    Pixels = np.ndarray[Any, Any]

_Content = TypeVar("_Content")

_PATIENCE_S: Final = 900.0
_PAUSE_S: Final = 2.0
_BUSY: Final = "TransientFault"
_REASON: Final = "demonstration: somebody says that this frame is bad"


@dataclass
class Teller:
    """Tells what happens, and counts what is not as it should be.

    Attributes
    ----------
    say
        Called with each line.
    wrong
        Sentences that turned out to be wrong.
    verified
        Number of sentences that were right.
    """

    say: Callable[[str], None]
    wrong: list[str] = field(default_factory=list)
    verified: int = 0

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self.say("")
        self.say(title)

    def verify(self, sentence: str, *, holds: bool) -> None:
        """Say a sentence that has to be true."""
        self.say(f"  {'ok   ' if holds else 'WRONG'} {sentence}")
        if holds:
            self.verified += 1
        else:
            self.wrong.append(sentence)


@dataclass(frozen=True)
class Answer(Generic[_Content]):
    """An answer of the service: a table, or the pixels of a cutout, and what it says of itself.

    ``waited`` says that the question was asked more than once: some of the making was then done
    for askings that were not answered.
    """

    content: _Content
    infos: dict[str, str]
    seconds: float
    waited: bool = False

    @property
    def remade(self) -> int:
        """How many targets were remade for it, as it says."""
        return int(self.infos["TARGETS_REMADE"])


class Story:
    """Asks a running service as any client would, and edits the archive as its keeper would.

    Parameters
    ----------
    url
        Base URL of the service.
    archive
        The same archive, for the keeper's edits.
    teller
        Who tells it.
    """

    def __init__(self, url: str, archive: Archive, teller: Teller) -> None:
        self._archive, self._teller = archive, teller
        self._tap = pyvo.dal.TAPService(f"{url}/tap")
        self._sia = pyvo.dal.SIA2Service(f"{url}/sia2")
        self._soda = f"{url}/soda/sync"

    # -- asking --------------------------------------------------------------------------------

    def ask(self, query: str) -> Answer[Table]:
        """Ask by ADQL; ask again while making takes longer than a request may wait."""
        start = time.monotonic()
        result, waited = self._patiently(lambda: self._tap.run_sync(query))
        infos = {info.name: info.value for info in result.votable.resources[0].infos}
        return Answer(result.to_table(), infos, time.monotonic() - start, waited)

    def cutout(self, dataset: str, circle: tuple[float, float, float]) -> Answer[Pixels]:
        """Ask for the pixels around a position of one image."""
        start = time.monotonic()
        query = SodaQuery(self._soda, circle=circle, ID=dataset)
        content, waited = self._patiently(lambda: query.execute_stream().read())
        with fits.open(io.BytesIO(content)) as hdus:
            header, pixels = hdus[0].header, np.array(hdus[0].data)
        infos = {keyword: str(value) for keyword, value in header.items()}
        return Answer(pixels, infos, time.monotonic() - start, waited)

    def image(self, chip: str) -> Row:
        """The first image of a chip that an image search finds."""
        found, _ = self._patiently(lambda: self._sia.search(instrument="simulated"))
        rows = [r for r in found.to_table() if f"/{chip}/" in str(r["obs_publisher_did"])]
        return min(rows, key=lambda row: float(row["t_min"]))

    def _patiently(self, question: Callable[[], Any]) -> tuple[Any, bool]:
        """Answer to a question, and whether it was asked more than once."""
        limit = time.monotonic() + _PATIENCE_S
        waited = False
        while True:
            try:
                return question(), waited
            except (DALServiceError, DALQueryError) as error:
                busy = getattr(error, "code", None) == 503 or _BUSY in str(error)
                if not busy or time.monotonic() > limit:
                    raise
                self._teller.say("       still being made; asking again")
                waited = True
                time.sleep(_PAUSE_S)

    def current(self) -> dict[int, int]:
        """The current product of each target that has one, by their numbers."""
        table = self.ask("SELECT target_id, object_id FROM archive.targets").content
        rows = zip(table["target_id"], table["object_id"], strict=True)
        return {int(t): int(o) for t, o in rows if o is not np.ma.masked}

    def numbers(self, query: str) -> list[int]:
        """First column of an answer."""
        return [int(row[0]) for row in self.ask(query).content]

    # -- chapters ------------------------------------------------------------------------------

    def rejected_frame(
        self,
        chip: str,
        night: str,
        question: Callable[[], Answer[_Content]],
        same: Callable[[_Content, _Content], bool],
    ) -> None:
        """Ask, reject a raw bias frame, ask again, ask a third time.

        Parameters
        ----------
        chip, night
            Of the frame.
        question
            The question, the same each time.
        same
            Whether what two answers hold is equal.
        """
        tell = self._teller
        first = question()
        tell.say(f"       answered in {first.seconds:.1f} s; remade for it: {first.remade}")
        again = question()
        tell.verify("asked again at once: nothing is remade, the answer is the same",
                    holds=again.remade == 0 and same(first.content, again.content))  # fmt: skip
        before = self.current()
        frame = self._some_bias(chip, night)
        touched = set(
            self.numbers(
                f"SELECT descendant_id FROM archive.descendants WHERE object_id = {frame}"
            )
        )
        suspects = edit(self._archive, frame, "is_valid", 0, why=_REASON)
        tell.say(
            f"       raw bias frame {frame} of {chip} is declared bad: {suspects} targets suspect"
        )
        second = question()
        after = self.current()
        changed = {t for t, product in after.items() if before.get(t) != product}
        tell.verify(
            f"the same question: {second.remade} targets were remade for it, as its INFO says, "
            f"and {len(changed)} changed in the archive",
            holds=len(changed) > 0 and (second.waited or second.remade == len(changed)),
        )
        tell.verify(
            "only what was made from that frame was remade",
            holds={before.get(t, 0) for t in changed} <= touched,
        )
        tell.verify("the answer differs", holds=not same(first.content, second.content))
        self._lineage(frame, [after[t] for t in sorted(changed)])
        third = question()
        tell.verify(
            f"asked a third time: nothing is remade ({third.seconds * 1000:.0f} ms)",
            holds=third.remade == 0 and same(second.content, third.content),
        )

    def _lineage(self, frame: int, products: Sequence[int]) -> None:
        listed = ", ".join(str(number) for number in products)
        query = f"SELECT object_id FROM archive.ancestors WHERE object_id IN ({listed}) "
        still = self.numbers(f"{query} AND ancestor_id = {frame}")
        others = self.numbers(
            f"{query} AND ancestor_class = 'RawBiasFrame' AND ancestor_id <> {frame}"
        )
        self._teller.verify(
            "the lineage of what was remade holds the other bias frames, and no longer that one",
            holds=not still and len(set(others)) == len(products),
        )

    def _some_bias(self, chip: str, night: str) -> int:
        return self.numbers(
            "SELECT TOP 1 object_id FROM archive.raw_frames WHERE class_name = 'RawBiasFrame' "
            f"AND instrument = 'simulated' AND chip = '{chip}' AND night = '{night}' "
            "AND is_valid >= 1 ORDER BY mjd_obs"
        )[0]

    def outdated_recipe(self, class_name: str, question: Callable[[], Answer[Any]]) -> None:
        """Raise the version of a recipe whose result stays the same (early cutoff)."""
        tell = self._teller
        question()
        before = self.current()
        suspects = bump(self._archive, class_name, why="demonstration: a better recipe")
        tell.say(f"       the recipe of {class_name} is declared improved: {suspects} suspect")
        answer = question()
        after = self.current()
        changed = sorted(t for t, product in after.items() if before.get(t) != product)
        listed = ", ".join(str(number) for number in changed) or "0"
        query = f"SELECT target_id FROM archive.targets WHERE target_id IN ({listed}) "
        of_class = self.numbers(query + f"AND class_name = '{class_name}'")
        tell.verify(
            f"{answer.remade} targets were remade, each a {class_name}; their content is as "
            "before, so nothing further down was remade",
            holds=len(changed) == len(of_class) > 0
            and (answer.waited or answer.remade == len(changed)),
        )
