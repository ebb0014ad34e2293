"""Self-description: which native library there is, what it runs on, and what it can do."""

from __future__ import annotations

import sys

from chainrule.native import cores, find
from chainrule.native.compile import HERE, compile_library


def main(arguments: list[str]) -> int:
    """Print what was found, built anew with --build; return 1 where there is no library."""
    if arguments == ["--build"]:
        compile_library(HERE)
    library = find()
    if isinstance(library, str):
        print(library)
        return 1
    print(f"library          {library.path}")
    print(f"instruction set  {library.instruction_sets[-1]} of {library.instruction_sets}")
    print(f"threads          at most {cores()}")
    for table, members in library.formulas.items():
        print(f"{table.lower():<16} {', '.join(members)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
