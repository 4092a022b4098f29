"""The memory of a million owners with one type each, and after ten million renewals.

``python benchmarks/memory.py`` prints a table; with ``--entry`` it looks at one entry, in its own process, and prints
JSON.
"""

import argparse
import json

from grantbench.memory import entries, footprint, run_memory
from grantbench.report.memory_table import memory_table


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--owners", type=int, default=1_000_000, metavar="N", help="how many (default: a million)")
    parser.add_argument("--entry", choices=entries(), help="look at this one only, and print JSON")
    options = parser.parse_args()
    if options.entry:
        print(json.dumps(footprint(options.entry, options.owners)._asdict()))
    else:
        print(memory_table(run_memory(options.owners, lambda _line: None)))


if __name__ == "__main__":
    main()
