"""Making a product once more from what it was made from, to see whether it comes out the same."""

from __future__ import annotations

__all__ = ["Remade", "made_again", "remake"]

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from reduction.fill import is_composite
from reduction.make import RecipeFailedError, compute_bundle, run_recipe
from reduction.script_run import run_apart
from reduction.scripts import find_script, load_script
from reduction.variants import stand_in
from reduction.verdicts import Verdict, VerdictKind
from schemas.errors import NotFoundError, ParameterError, ReductionError
from schemas.tables import Lineage, Product, Target

if TYPE_CHECKING:
    from reduction.archive import Archive
    from reduction.publish import Bundle
    from reduction.target import ProcessTarget


@dataclass(frozen=True, slots=True)
class Remade:
    """What became of a product that was made once more.

    Attributes
    ----------
    object_id
        The product.
    before, now
        Hash of its content: pixels, values and rows.
    """

    object_id: int
    before: str
    now: str

    @property
    def same(self) -> bool:
        """Whether it came out the same, bit for bit."""
        return self.before == self.now


def remake(archive: Archive, object_id: int) -> Remade:
    """Make a product again from its recorded progenitors, parameters and code; change no table.

    Parameters
    ----------
    object_id
        A product, published, superseded or a variant; not a raw frame.

    Returns
    -------
    Remade
        Whether it came out the same.

    Raises
    ------
    NotFoundError
        If there is no such object.
    ParameterError
        If it is a raw frame, or was made by another version of the recipe than this process has.
    AuthorizationError
        If it was made by a script that may not run.
    ReductionError
        If it cannot be made now.
    """
    bundle = made_again(archive, object_id, kept=False)
    with archive.transaction() as session:
        before = session.get_one(Product, object_id).content_hash
    return Remade(object_id, before, bundle.content_hash)


def made_again(archive: Archive, object_id: int, *, kept: bool) -> Bundle:
    """What comes out where a product is made from its recorded progenitors, parameters and code.

    Parameters
    ----------
    kept
        Whether its file stays in the storage.

    Raises
    ------
    NotFoundError, ParameterError, AuthorizationError, ReductionError
        As :func:`remake`.
    """
    with archive.transaction() as session:
        product = session.get(Product, object_id)
        if product is None:
            raise NotFoundError(f"there is no object {object_id}; see archive.products")
        if product.target_id is None:
            raise ParameterError("object", product.class_name, "a product: raw data is not made")
        target = session.get_one(Target, product.target_id)
        rows = session.execute(
            select(Lineage.role, Product)
            .join(Product, Product.product_id == Lineage.progenitor_id)
            .where(Lineage.product_id == object_id)
            .order_by(Lineage.role, Lineage.position)
        ).all()
        session.expunge_all()
    recipe, run = _recipe_of(archive, product, target)
    inputs: dict[str, list[Product]] = {name: [] for name in type(recipe).SLOTS}
    for role, progenitor in rows:
        inputs.setdefault(role, []).append(progenitor)
    verdict = Verdict(
        stand_in(target, product.class_name),
        VerdictKind.STALE,
        inputs=inputs,
        recipe_version=product.recipe_version,
        parameters=product.process_params,
        key=product.key,
        input_hash=product.input_hash or "",
    )
    try:
        return compute_bundle(archive, verdict, recipe, run, kept=kept)
    except RecipeFailedError as error:
        raise ReductionError(f"object {object_id}: {error}") from error


def _recipe_of(archive: Archive, product: Product, target: Target) -> tuple[ProcessTarget, Any]:
    """The code that made a product, and what runs it."""
    registry, run = archive.registry, run_recipe
    version, _, sha256 = product.recipe_version.partition("+")
    if sha256:
        loaded = load_script(archive, sha256)
        registry = replace(registry, classes={**registry.classes, **loaded.classes})
        row = find_script(archive, sha256)
        run = run_apart(row, archive.settings.reduction, composite=is_composite(target))
    cls = registry.target(product.class_name)
    if version.partition(".")[0] != str(cls.VERSION):
        expected = f"version {cls.VERSION}, which this process has"
        raise ParameterError(f"recipe of {product.class_name}", version, expected)
    return cls(), run
