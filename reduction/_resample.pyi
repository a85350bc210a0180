from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def resample(
    image: Array,
    weight: Array,
    bad: Array,
    near: Array,
    table: Array,
    reach: Array,
    shape: tuple[int, int],
    nodes_x: Array,
    nodes_y: Array,
    nodes: tuple[int, int],
    step: float,
    shift: tuple[float, float],
    limit: float,
    value: Array,
    out_weight: Array,
    hole: Array,
    out_shape: tuple[int, int],
    /,
) -> None: ...
