"""Making one target: look, fetch, compute, verify, store, publish; alone, and once."""

from __future__ import annotations

__all__ = [
    "RecipeFailedError",
    "compute_bundle",
    "flat_attributes",
    "give_up",
    "is_conflict",
    "make_target",
    "run_recipe",
]

import errno
import logging
import math
import time
from contextlib import suppress
from dataclasses import asdict, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy.exc import StatementError

from reduction.fetch import fetch
from reduction.frame_writing import write_images
from reduction.frames import read_images, read_tables
from reduction.keys import content_hash
from reduction.outcomes import Outcome, OutcomeKind
from reduction.pixel_cache import PIXELS
from reduction.publish import (
    Bundle,
    Superseded,
    is_made_already,
    misfit,
    publish,
    publish_again,
)
from reduction.settle import settle
from reduction.verdicts import Reason, ReasonKind, Verdict, VerdictKind
from schemas.deferred import deferred
from schemas.errors import FatalError, NotMadeYetError, ReductionError, StorageError, VOError
from schemas.tables import Product

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from astropy.io import fits
    from sqlalchemy.orm import Session

    from reduction.archive import Archive
    from reduction.storage import StoredFile
    from reduction.target import Inputs, Made, ProcessTarget

    _Arrays = dict[str, np.ndarray[Any, Any]]
else:
    fits = deferred("astropy.io.fits")

_LOG = logging.getLogger(__name__)
_ROUNDS = 16
#: What the writer of files says of arrays and cards that FITS has no form for.
_NO_FORM = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

#: Errors of the system that are not a recipe's: another day the same recipe makes it.
_OF_THE_MACHINE = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO),  # disks
        *(errno.EMFILE, errno.ENFILE, errno.EAGAIN),  # files and processes
    )
)


def make_target(archive: Archive, target_id: int) -> Outcome:
    """Bring one target, and before it whatever it still needs, to its right state.

    However many ask at once, here or in other processes, one makes and the others find it made.

    Raises
    ------
    NotMadeYetError
        If events kept coming in while it was made.
    """
    start = time.monotonic()
    before: list[Outcome] = []
    superseded = 0
    with archive.single_flight(target_id):
        while superseded < _ROUNDS:
            verdict = archive.examine(target_id)
            try:
                kind, message = _step(archive, verdict, before)
            except Superseded:
                superseded += 1
                continue
            except StatementError as error:
                if not is_conflict(error):
                    raise
                superseded += 1
                continue
            if kind is None:
                continue
            seconds = time.monotonic() - start
            name = verdict.target.identity
            _LOG.info("target %s", kind, extra={"target": name, "seconds": round(seconds, 3)})
            return Outcome(target_id, name, kind, seconds, message, tuple(before))
    raise NotMadeYetError(f"target {target_id} changed again and again while it was made")


def _step(
    archive: Archive, verdict: Verdict, before: list[Outcome]
) -> tuple[OutcomeKind | None, str]:
    """Do what a verdict asks for; None where it has to be reached anew afterwards."""
    if verdict.kind is VerdictKind.FRESH:
        return OutcomeKind.UNCHANGED, ""
    if verdict.kind is VerdictKind.UNMAKEABLE:
        return OutcomeKind.FAILED, "; ".join(reason.text for reason in verdict.reasons)
    if verdict.needs:
        before.extend(make_target(archive, need) for need in verdict.needs)
        return None, ""
    if verdict.reuse is not None:
        with archive.transaction() as session:
            publish_again(session, verdict)
        return OutcomeKind.REUSED, ""
    try:
        bundle = compute_bundle(archive, verdict)
    except ReductionError as error:
        return _fail(archive, verdict, ReasonKind.CANNOT_BE_MADE, str(error))
    except RecipeFailedError as error:
        _LOG.error(
            "recipe failed",
            exc_info=error.__cause__,
            extra={"target": verdict.target.identity},
        )
        return _fail(archive, verdict, ReasonKind.RECIPE_FAILED, str(error))
    return _publish(archive, verdict, bundle)


def _publish(archive: Archive, verdict: Verdict, bundle: Bundle) -> tuple[OutcomeKind | None, str]:
    try:
        with archive.transaction() as session:
            publish(session, bundle)
    except StatementError as error:
        if is_made_already(error):
            return None, ""
        if is_conflict(error):
            raise Superseded from error
        if message := misfit(error):
            return _fail(archive, verdict, ReasonKind.RECIPE_FAILED, message)
        raise
    except ReductionError as error:
        return _fail(archive, verdict, ReasonKind.RECIPE_FAILED, misfit(error))
    return OutcomeKind.MADE, ""


def give_up(archive: Archive, target_id: int, message: str) -> Outcome:
    """Note that a target cannot be made because its maker dies of it, again and again."""
    verdict = archive.examine(target_id)
    name = verdict.target.identity
    if verdict.kind is VerdictKind.STALE and not verdict.needs:
        with suppress(Superseded):  # an event came: whoever asks next tries it once more
            kind, message = _fail(archive, verdict, ReasonKind.RECIPE_FAILED, message)
            return Outcome(target_id, name, kind, 0.0, message)
    return Outcome(target_id, name, OutcomeKind.UNCHANGED, 0.0)


class RecipeFailedError(Exception):
    """A recipe ended in an error that it should not have; the cause has it."""


def _fail(
    archive: Archive, verdict: Verdict, kind: ReasonKind, message: str
) -> tuple[OutcomeKind, str]:
    message = f"{verdict.target.identity}: {message}"
    verdict.kind = VerdictKind.UNMAKEABLE
    verdict.reasons = (Reason(kind, "", message),)
    with archive.transaction() as session:
        settle(session, [verdict])
    _LOG.warning("cannot be made: %s", message, extra={"target": verdict.target.identity})
    return OutcomeKind.FAILED, message


def run_recipe(
    recipe: ProcessTarget,
    inputs: Inputs,
    parameters: Mapping[str, Any],
    previous: Mapping[str, Any] | None,
) -> tuple[Made, int, int]:
    """Compute, verify and compare: what a recipe makes, its flags, and its flags by comparison.

    Raises
    ------
    RecipeFailedError
        If the recipe ends in an error that is not one of the archive's, or takes more memory than
        there is.
    StorageError
        If the machine's disks or its open files are at an end.
    """
    try:
        values = recipe.Parameters(**parameters)
        made = recipe.compute(inputs, values)
        flags = int(recipe.verify(made, values))
        compared = 0 if previous is None else int(recipe.compare(made, previous, values))
    except VOError:
        raise
    except MemoryError as error:
        raise RecipeFailedError(_too_much(error)) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            message = f"{type(recipe).__name__} cannot be made now: {error}"
            raise StorageError(message) from error
        of_file = isinstance(error, OSError)  # whose name is in no repr
        said = f"{type(error).__name__}: {error}" if of_file else repr(error)
        raise RecipeFailedError(said) from error
    return made, flags, compared


def _too_much(error: MemoryError) -> str:
    """Why a target cannot be made that takes more memory than there is."""
    return f"it takes more memory than there is ({error!r})"


def compute_bundle(
    archive: Archive,
    verdict: Verdict,
    recipe: ProcessTarget | None = None,
    run: Callable[..., tuple[Made, int, int]] = run_recipe,
    *,
    kept: bool = True,
) -> Bundle:
    """Fetch, compute, store: a product that is ready to be published.

    Parameters
    ----------
    verdict
        What is to be made, and from what.
    recipe
        Makes it; the archive's own where not given.
    run
        Runs the recipe, as :func:`run_recipe` does.
    kept
        Whether its file stays in the storage; False to look at what comes out.

    Raises
    ------
    ReductionError, RecipeFailedError
        If it cannot be made, or the recipe failed.
    """
    start = time.monotonic()
    recipe = archive.registry.target(verdict.target.class_name)() if recipe is None else recipe
    with archive.transaction() as session:
        inputs = fetch(archive, session, verdict, type(recipe))
        previous = _previous(session, verdict)
    made, flags, compared = run(recipe, inputs, verdict.parameters, previous)
    made = _plain(made)
    attributes = _attributes(recipe, made)
    stored, images, tables = _store(archive, verdict, made, kept=kept)
    cards = {name: list(card) for name, card in made.cards.items()}
    rows = made.rows
    shown = sorted(
        progenitor.content_hash
        for progenitors in verdict.inputs.values()
        for progenitor in progenitors
        if recipe.PUBLISHED and not made.images
    )
    described = {**attributes, "": [cards, made.obscore, flags, shown]}
    try:
        digest = content_hash(images, described, rows, tables)
    except (TypeError, ValueError) as error:
        raise RecipeFailedError(f"it gave a value that cannot be kept: {error}") from error
    seconds = time.monotonic() - start
    compared &= ~flags
    return Bundle(verdict, made, attributes, digest, flags, compared, stored, seconds, recipe.ROWS)


def _plain(made: Made) -> Made:
    """The same, with values of headers and of the ObsCore row as JSON has them."""
    return replace(
        made,
        cards={name: (_json(value), comment) for name, (value, comment) in made.cards.items()},
        obscore={name: _json(value) for name, value in made.obscore.items()},
    )


def _attributes(recipe: ProcessTarget, made: Made) -> dict[str, Any]:
    try:
        return flat_attributes(recipe, made)
    except FatalError as error:
        raise RecipeFailedError(str(error)) from error


def _previous(session: Session, verdict: Verdict) -> dict[str, Any] | None:
    if verdict.target.product_id is None:
        return None
    return session.get_one(Product, verdict.target.product_id).attributes


def _store(
    archive: Archive, verdict: Verdict, made: Made, *, kept: bool
) -> tuple[StoredFile | None, _Arrays, _Arrays]:
    """Write pixels and tables; what is read back from the file is the product."""
    if not made.images and not made.tables:
        return None, {}, {}
    cards = {**made.cards, **_standard_cards(verdict)}
    with archive.storage.scratch(".fits") as path:
        try:
            write_images(path, made.images, cards, made.tables)
        except ReductionError as error:
            message = f"{verdict.target.identity}: {error}"
            raise ReductionError(message) from error
        except OSError as error:
            message = f"a product cannot be written: {error.strerror or error}"
            raise StorageError(message) from error
        except MemoryError as error:
            raise RecipeFailedError(_too_much(error)) from error
        except (*_NO_FORM, fits.verify.VerifyError) as error:
            message = f"what it made cannot be stored as FITS: {error!r}"
            raise RecipeFailedError(message) from error
        images, tables = read_images(path, archive.storage.planes), read_tables(path)
        if not kept:
            return None, images, tables
        stored = archive.storage.keep(path, "product", ".fits")
    for name, image in images.items():
        PIXELS.put(archive.storage.path(stored.location), name, image)
    return stored, images, tables


def _standard_cards(verdict: Verdict) -> dict[str, tuple[Any, str]]:
    target = verdict.target
    return {
        "INSTRUME": (target.instrument, "instrument"),
        "CHIP": (target.chip, "CCD"),
        "FILTER": (target.filter, "filter"),
        "AWCLASS": (target.class_name, "class of the archive"),
        "RECIPE": (verdict.recipe_version, "version of the recipe"),
        "PRODKEY": (verdict.key, "key of the product"),
    }


def flat_attributes(recipe: ProcessTarget, made: Made) -> dict[str, Any]:
    """Attributes as JSON values by flat name; NaN becomes None.

    Raises
    ------
    FatalError
        If a value is missing or was not declared.
    """
    flat: dict[str, Any] = {}
    for name, value in made.attributes.items():
        if is_dataclass(value) and not isinstance(value, type):
            flat |= {f"{name}.{below}": _json(item) for below, item in asdict(value).items()}
        else:
            flat[name] = _json(value)
    declared = {attribute.name for attribute in type(recipe).ATTRIBUTES}
    if flat.keys() != declared:
        wrong = ", ".join(sorted(flat.keys() ^ declared))
        message = f"{type(recipe).__name__} declares and computes different attributes: {wrong}"
        raise FatalError(message)
    return flat


def _json(value: object) -> object:
    """A value as JSON has it; NaN and infinities are None."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def is_conflict(error: StatementError) -> bool:
    """Whether a database error says that two transactions met: try again."""
    return getattr(error.orig, "pgcode", "") in ("40001", "40P01")
