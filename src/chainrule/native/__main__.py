"""Self-description: which native library there is, what it runs on, and what it can do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from chainrule.native import cores, find
from chainrule.native.compile import HERE, TARGETS, compile_library


def main(arguments: Sequence[str]) -> int:
    """Print what was found or built; return 1 where there is no library, or none could be built."""
    asked = parser().parse_args(arguments)
    try:
        if asked.target:
            print(compile_library(asked.into, target=asked.target))
            return 0
        if asked.build:
            compile_library(HERE)
    except OSError as error:
        print(f"cannot compile the native library: {error}", file=sys.stderr)
        return 1
    return describe()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m chainrule.native", description=__doc__)
    made.add_argument("--build", action="store_true", help="compile it anew, with ziglang, first")
    made.add_argument(
        "--target", choices=TARGETS, help="only compile, for a machine that need not be this one"
    )
    made.add_argument(
        "--into", type=Path, default=Path(), metavar="DIR", help="where --target puts the library"
    )
    return made


def describe() -> int:
    """Print what was found; return 1 where there is no library."""
    library = find()
    if isinstance(library, str):
        print(f"{library}; until then the reference engine serves")
        return 1
    sets = library.instruction_sets
    print(f"library          {library.path}")
    print(f"instruction set  {sets[-1]} of {', '.join(sets)}")
    print(f"threads          at most {cores()}")
    print(f"formulas         {sum(map(len, library.formulas.values()))}")
    for table, members in library.formulas.items():
        print(f"  {table.lower():<14} {', '.join(members)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
