"""Self-description: which native library there is, what it runs on, and what it can do."""

from __future__ import annotations

from chainrule.native import find


def main() -> int:
    """Print what was found; return 1 where there is no library."""
    library = find()
    if isinstance(library, str):
        print(library)
        return 1
    print(f"library          {library.path}")
    print(f"instruction set  {library.instruction_sets[-1]} of {library.instruction_sets}")
    print("threads          1")
    for table, members in library.formulas.items():
        print(f"{table.lower():<16} {', '.join(members)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
