"""Main: python -m chainrule is the command line."""

from chainrule.cli import main

if __name__ == "__main__":
    main()
