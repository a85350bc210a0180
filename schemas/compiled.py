"""Compiled parts, where there are such as the Python beside them expects."""

from __future__ import annotations

__all__ = ["compiled"]

import importlib
import logging
import os
from typing import Any

_LOG = logging.getLogger(__name__)


def compiled(name: str, abi: int) -> Any:  # noqa: ANN401  # a module, or None
    """Import a compiled part.

    Parameters
    ----------
    name
        Its full name.
    abi
        Number of its functions' signatures, as ``ABI`` in its C: raised in both places with
        every change of them.

    Returns
    -------
    module or None
        None where there is none, where it is of other sources, or where ``VO_KERNEL=off`` says
        that it is not wanted: then numpy does its work.
    """
    if os.environ.get("VO_KERNEL", "").lower() in {"off", "0", "no", "false"}:
        return None
    try:
        module = importlib.import_module(name)
    except ImportError:
        return None
    found = getattr(module, "abi", None)
    if found != abi:
        _LOG.warning(
            "%s was compiled from other sources (abi %s, expected %d) and is left aside, which is "
            "slower: build anew with 'python setup.py build_ext --inplace --force'",
            name,
            found,
            abi,
        )
        return None
    return module
