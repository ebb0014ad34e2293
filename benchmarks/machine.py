"""Machine: what the numbers were measured on, and how busy it was."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from benchmarks.cases import thread_counts
from chainrule.native import Library, find

PACKAGES = (
    "chainrule", "numpy", "scipy", "scikit-learn", "torch", "jax", "jaxlib", "threadpoolctl",
)  # fmt: skip
BUSY = 0.5  # load beyond which other processes are felt


def describe() -> dict[str, Any]:
    """Return processor, cores, versions, BLAS and the native library's instruction set."""
    library = find()
    return {
        "processor": processor(),
        "cores": max(thread_counts()),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()} | versions(),
        "blas": [
            {key: pool.get(key) for key in ("internal_api", "version", "architecture")}
            for pool in threadpool_info()
            if pool.get("user_api") == "blas"
        ],
        "native": library.instruction_sets[-1] if isinstance(library, Library) else library,
    }


def versions() -> dict[str, str]:
    """Return the versions of what is installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if "chainrule" not in found:  # run from its source, without having been installed
        import chainrule

        found["chainrule"] = chainrule.__version__
    return found


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def load() -> list[float]:
    """Return the load averages of 1, 5 and 15 minutes, where the system tells."""
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else []
