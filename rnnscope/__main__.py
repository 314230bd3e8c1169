"""`python -m rnnscope` is the command line."""

from rnnscope.cli import main

if __name__ == "__main__":
    main()
