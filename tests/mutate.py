"""How many small faults do the tests find? ``python tests/mutate.py PACKAGE [MUTANTS] [SEED]``.

PACKAGE is ``music`` or ``models``. At random places of its modules something is changed, at each
once: a sign, a comparison, a number, a condition. A mutant is killed if a test of the package fails
then; the module's own are asked first. Printed are those that survive, to be looked at (some change
nothing that matters), and the score: the share that is killed, with its 95 % interval. Needs
``pip install cosmic-ray``, which knows what to change.
"""

import contextlib
import difflib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from multiprocessing.pool import ThreadPool
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from scipy.stats import binomtest
from tqdm.auto import tqdm

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("music", "models")
JOBS = os.cpu_count()
LIMIT = 1800  # seconds; a mutant may well never end
PYTEST = [sys.executable, "-m", "pytest", "-x", "--quiet", "-p", "no:cacheprovider"]


def operators():
    """What can be changed without more being said, by name."""
    kinds = {name: plugins.get_operator(name) for name in plugins.operator_names()}
    return {name: kind() for name, kind in kinds.items() if not kind.arguments()}


def places(source):
    """The ways to change each place of a module, as names of operators and their counts."""
    found, nodes = defaultdict(list), list(ast_nodes(get_ast(source)))
    for name, operator in operators().items():
        positions = (place for node in nodes for place in operator.mutation_positions(node))
        for count, place in enumerate(positions):
            found[place].append((name, count))
    return found


def mutants(package, number, seed):
    """A path and a mutated source for each of as many places as are asked for."""
    rng, known = np.random.default_rng(seed), operators()
    ways = []
    for path in sorted((ROOT / "cvae" / package).glob("*.py")):
        ways += [(path, way) for way in places(path.read_text(encoding="utf-8")).values()]
    for i in rng.permutation(len(ways))[:number]:
        path, way = ways[i]
        name, count = way[rng.integers(len(way))]
        yield path, mutate_code(path.read_text(encoding="utf-8"), known[name], count)


def survives(path, mutant, copy):
    """Whether no test of the package fails in a copy of the checkout that holds the mutant."""
    tests = Path("tests") / path.parent.name
    own = tests / f"test_{path.name}"
    asked = [[own]] if (ROOT / own).exists() else []
    place = copy / path.relative_to(ROOT)
    place.write_text(mutant, encoding="utf-8")
    known = os.environ | {"PYTHONPATH": str(copy)}
    asking = {"cwd": copy, "env": known, "capture_output": True, "timeout": LIMIT}
    try:
        return not any(
            subprocess.run([*PYTEST, *chosen], **asking).returncode
            for chosen in [*asked, [tests, f"--ignore={own}"]]
        )
    except subprocess.TimeoutExpired:
        tqdm.write(f"not at an end after {LIMIT} s: {place.relative_to(copy)}")
        return False
    finally:
        shutil.copyfile(path, place)


def change(path, mutant):
    """Where the mutant is, and its lines."""
    lines = path.read_text(encoding="utf-8").splitlines(), mutant.splitlines()
    _, _, *different = difflib.unified_diff(*lines, n=0, lineterm="")
    return [str(path.relative_to(ROOT)), *different]


def checkout(folder):
    """A copy of the files that git knows."""
    for file in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, folder / file)
    return folder


def main(package, number=200, seed=0):
    """Print the mutants that survive, and the score."""
    if package not in PACKAGES:
        sys.exit(f"package must be one of {', '.join(PACKAGES)}, not {package!r}")
    found = list(mutants(package, int(number), int(seed)))
    with tempfile.TemporaryDirectory() as folder, ThreadPool(JOBS) as pool:
        copies, free = [checkout(Path(folder) / str(job)) for job in range(JOBS)], SimpleQueue()
        unchanged = ROOT / "cvae" / package / "__init__.py"
        if not survives(unchanged, unchanged.read_text(encoding="utf-8"), copies[0]):
            sys.exit(f"tests/{package} fail as they are: nothing can be said about mutants")
        for copy in copies:
            free.put(copy)

        def killed(mutant):
            copy = free.get()
            alive = survives(*mutant, copy)
            free.put(copy)
            if alive:
                tqdm.write("\n".join(change(*mutant)))
            return not alive

        results = []
        with contextlib.suppress(KeyboardInterrupt):  # what is done by then has a score, too
            for result in tqdm(pool.imap_unordered(killed, found), total=len(found), unit="mutant"):
                results.append(result)
    interval = binomtest(sum(results), len(results)).proportion_ci(method="wilson")
    score = {"mutants": len(results), "killed": sum(results), "score": sum(results) / len(results)}
    print(json.dumps(score | {"95 %": [interval.low, interval.high]}, indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
