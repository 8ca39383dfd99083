# SPDX-License-Identifier: MIT
"""Runs the commands of a document and compares what they print with what stands behind them.

    python3 tools/transcripts.py [--update] PROGRAM DOCUMENT

A block that begins with ```console has commands, "$ COMMAND", which go on in the next line behind
a backslash; what follows up to the next command or the end of the block is what it prints on
standard output. `weir` in a command is PROGRAM. With --update the document gets what is printed
now. Run it where the commands find their files: at the top of the project.
"""
import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (?:.*\\\n)*.*\n", re.MULTILINE)


def run(command: str, program: Path) -> str:
    """What the command prints; it must not fail, and none of a pipe before the last is asked."""
    path = f"{program.parent}:{os.environ['PATH']}"
    result = subprocess.run(["sh", "-ec", command], env={**os.environ, "PATH": path},
                            stdout=subprocess.PIPE, encoding="utf-8", check=False)
    if result.returncode != 0:
        sys.exit(f"status {result.returncode} of: {command}")
    return result.stdout


def replayed(document: str, program: Path) -> str:
    """The document with what its commands print now."""
    def block(match: re.Match[str]) -> str:
        commands = COMMAND.findall(match[0])
        if not match[0].startswith("$ "):
            sys.exit(f"a block does not begin with a command: {match[0][:60]!r}")
        return "".join(command + run(command[2:], program) for command in commands)

    return BLOCK.sub(block, document)


def main() -> None:
    updates = sys.argv[1:2] == ["--update"]
    if len(sys.argv) != 3 + updates:
        sys.exit(__doc__)
    program, path = Path(sys.argv[1 + updates]).resolve(), Path(sys.argv[2 + updates])
    if program.name != "weir" or not program.is_file():
        sys.exit(f"{program}: expected a program of the name weir")
    before = path.read_text(encoding="utf-8")
    after = replayed(before, program)
    if not BLOCK.search(before):
        sys.exit(f"{path}: no block of commands")
    if updates:
        path.write_text(after, encoding="utf-8")
    elif after != before:
        sys.stdout.writelines(difflib.unified_diff(
            before.splitlines(True), after.splitlines(True), str(path), "what is printed now"))
        sys.exit(f"{path}: differs; python3 tools/transcripts.py --update PROGRAM {path}")


main()
