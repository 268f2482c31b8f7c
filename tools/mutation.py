# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""Which mutations of the core no test notices: runs mutmut over its parts and sums up, one table row a part.

    python tools/mutation.py [PART ...] [--children N] [--again] [--minutes M] [--table]

Each part works in a folder of its own, build/mutation/<part>, with the mirrored unit tests alone: real processes and
training would take minutes for each of thousands of mutants. A run that was ended goes on where it was; mutants of
functions that changed are judged anew. Survivors of before, which new tests may kill, are judged again with --again.
There, `mutmut results`, `mutmut show NAME` and `mutmut browse` say which they are.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutation"
PARTS: dict[str, tuple[list[str], list[str]]] = {  # sources, and the tests that mirror them
    "control": (["control/*"], ["tests/control"]),
    "planning": (["planning/*"], ["tests/planning"]),
    "episodes": (["episodes/*"], ["tests/episodes"]),
    "registry": (["models/registry.py"], ["tests/models/test_registry.py"]),
    "evaluation": (
        ["rollouts/evaluate.py", "rollouts/statistics.py"],
        ["tests/rollouts/test_evaluate.py", "tests/rollouts/test_statistics.py"],
    ),
}
LINKED = ("mbrl_controller", "tests", "config", "launch", "models", "resource", "sim", "package.xml", "setup.cfg")
NOT_MUTATED = [r"^\s*raise "]  # how an error is worded; whether it is raised is decided on other lines
PYTEST = ["-m", "not slow and not ros and not training", "-p", "no:cacheprovider", "--hypothesis-profile", "mutation"]
# mutmut's exit codes of a mutant's tests; others say that the tests could not be run
KILLED, SURVIVED, UNTESTED, TIMEOUT = (1, 3), (0,), (5, 33), (-24, 24, 36, 152, 255)


def prepare(part: str) -> Path:
    """The part's folder: links to the sources and a pyproject.toml for mutmut."""
    folder = WORK / part
    folder.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(ROOT / name)
    sources, tests = PARTS[part]
    section = {
        "source_paths": ["mbrl_controller"],
        "only_mutate": [f"mbrl_controller/{source}" for source in sources],
        "also_copy": [name for name in LINKED if name not in ("mbrl_controller", "tests", "setup.cfg")],
        "do_not_mutate_patterns": NOT_MUTATED,
        "pytest_add_cli_args_test_selection": tests,
        "pytest_add_cli_args": PYTEST,
        "use_git_change_detection": False,
        "timeout_constant": 5.0,  # (s + what the tests take) * multiplier; mutants of a thread's end may wait for ever
        "timeout_multiplier": 3.0,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in section.items()]
    content = "\n".join([(ROOT / "pyproject.toml").read_text(), "[tool.mutmut]", *lines, ""])
    file = folder / "pyproject.toml"
    if not file.exists() or file.read_text() != content:
        file.write_text(content)
    return folder


def verdicts(folder: Path) -> Iterator[tuple[Path, dict[str, int | None]]]:
    """Each source's mutants with what became of them; None: not yet judged."""
    for file in sorted((folder / "mutants").rglob("*.py.meta")):
        yield file, json.loads(file.read_text())["exit_code_by_key"]


def forget_survivors(folder: Path) -> None:
    """So that they are judged again, by the tests there are now."""
    for file, codes in verdicts(folder):
        content = json.loads(file.read_text())
        content["exit_code_by_key"] = {name: code if code in KILLED else None for name, code in codes.items()}
        file.write_text(json.dumps(content, indent=4))
    if (folder / "mutants").exists():
        (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)  # which tests reach which function


def run(part: str, children: int, again: bool, minutes: float | None) -> bool:
    """Judge what is not yet judged; False when time ended it, or it could not be done."""
    folder = prepare(part)
    if again:
        forget_survivors(folder)
    mutmut = Path(sys.executable).with_name("mutmut")
    process = subprocess.Popen([str(mutmut), "run", "--max-children", str(children)], cwd=folder)
    try:
        return process.wait(None if minutes is None else 60 * minutes) == 0
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        return False


def table(parts: list[str]) -> str:
    """Mutants of each part and of each of its modules: killed (of the judged ones), and what is left."""
    rows = [f"{'':32}{'mutants':>8}" + "".join(f"{kind:>9}" for kind in KINDS) + f"{'of judged':>11}"]
    for part in parts:
        modules = {file.name.removesuffix(".py.meta"): codes for file, codes in verdicts(WORK / part) if codes}
        rows.append(_row(part, [code for codes in modules.values() for code in codes.values()]))
        rows += [_row(f"  {name}", list(codes.values())) for name, codes in modules.items()]
    return "\n".join(rows)


def _row(name: str, codes: list[int | None]) -> str:
    counts = Counter(map(_kind, codes))
    judged = len(codes) - counts["to do"]
    share = (counts["killed"] + counts["timeout"]) / judged if judged else float("nan")
    return f"{name:32}{len(codes):8}" + "".join(f"{counts[kind]:9}" for kind in KINDS) + f"{share:11.1%}"


KINDS = ("killed", "timeout", "survived", "untested", "other", "to do")


def _kind(code: int | None) -> str:
    for kind, codes in (("killed", KILLED), ("survived", SURVIVED), ("untested", UNTESTED), ("timeout", TIMEOUT)):
        if code in codes:
            return kind
    return "to do" if code is None else "other"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--children", type=int, default=1, help="mutants judged at once")
    parser.add_argument("--again", action="store_true", help="judge survivors again, after tests were added")
    parser.add_argument("--minutes", type=float, help="end each part after so long; the next run goes on")
    parser.add_argument("--table", action="store_true", help="only show what is known")
    asked = parser.parse_args()
    parts = asked.parts or list(PARTS)
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"unknown part {', '.join(unknown)}; known: {', '.join(PARTS)}")
    ended = [] if asked.table else [run(part, asked.children, asked.again, asked.minutes) for part in parts]
    print(table(parts))
    return 0 if all(ended) else 1


if __name__ == "__main__":
    sys.exit(main())
