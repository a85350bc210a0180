from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

abi: int

def combine(
    value: Array,
    weight: Array,
    bits: Array,
    shape: tuple[int, ...],
    own: tuple[int, int, int, int],
    limits: tuple[float, float, int, float, float] | None,
    sign: Array,
    photons: Array,
    nothing: int,
    image: Array,
    out_weight: Array,
    mask: Array,
    number: Array,
    gain: Array,
    origin: Array,
    first: Array,
    lost: Array,
    /,
) -> int: ...
