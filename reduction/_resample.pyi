from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

abi: int

def resample(
    image: Array,
    weight: Array,
    mask: Array,
    bad: Array,
    near: Array,
    table: Array,
    reach: Array,
    shape: tuple[int, int],
    nodes_x: Array,
    nodes_y: Array,
    area: Array,
    rise: Array,
    nodes: tuple[int, int],
    step: float,
    fold: int,
    limit: float,
    nothing: int,
    mirrored: bool,
    value: Array,
    out_weight: Array,
    bits: Array,
    out_shape: tuple[int, int],
    /,
) -> None: ...
def spline(image: Array, shape: tuple[int, int], /) -> None: ...
def fill(
    image: Array, bad: Array, todo: Array, shape: tuple[int, int], share: Array, /
) -> int: ...
