"""Ties the numbers of the pages to records of runs.

    python -m scripts.numbers --check              # exits with 1 where a page and its records differ
    python -m scripts.numbers --write              # writes the tables into the pages
    python -m scripts.numbers --record=transfer_ravdess_whisper --workdir=results/transfer    # stores a finished run

The pages' tables stand between <!-- NAME --> and <!-- end of NAME -->. `claims.py` lists what the prose says. A number
outside code that neither accounts for is an error.
"""

import argparse
import sys
from pathlib import Path

from scripts.numbers import blocks, claims, pages, records, runs
from siamese_jax.runtime.files import write_text


def check() -> list[str]:
    """Returns what of the pages is not as their records say."""
    made = {name: make() for name, make in blocks.blocks().items()}
    found, used = [], set()
    for name, of_page in claims.by_page().items():
        page = (records.ROOT / name).read_text(encoding="utf-8")
        used |= set(pages.places(page))
        found += [f"{name}: {problem}" for problem in pages.problems(page, made, of_page, name in claims.WHOLE)]
    return found + [f"no page has the table {name}" for name in made if name not in used]


def write() -> None:
    """Writes the tables into the pages."""
    made = {name: make() for name, make in blocks.blocks().items()}
    for name in claims.by_page():
        path = records.ROOT / name
        page = path.read_text(encoding="utf-8")
        if page != pages.filled(page, made):
            write_text(path, pages.filled(page, made))
            print(f"{name} written")


def record(name: str, workdir: Path) -> int:
    """Stores a finished run; returns the exit code, 2 where `workdir` does not hold it."""
    run = runs.RUNS[name]
    try:
        if workdir.is_dir():
            run.check(workdir, run.command)
        records.write(name, records.Record.made(run.command, run.read(workdir)))
    except (OSError, KeyError, ValueError, IndexError) as error:
        print(f"{workdir}: holds no finished run of {run.command} ({error})", file=sys.stderr)
        return 2
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_mutually_exclusive_group(required=True)
    actions.add_argument("--check", action="store_true", help="compare the pages with their records")
    actions.add_argument("--write", action="store_true", help="write the tables into the pages")
    actions.add_argument("--record", choices=sorted(runs.RUNS), help="the record to make from --workdir")
    parser.add_argument("--workdir", type=Path, help="what the record's command wrote: a folder or a file")
    arguments = parser.parse_args()
    if arguments.record:
        if not arguments.workdir:
            parser.error("--record needs --workdir")
        return record(arguments.record, arguments.workdir)
    elif arguments.write:
        write()
    problems = check() if arguments.check else []
    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
