"""Each notebook in an environment like Colab's: ``python tests/colab.py [NOTEBOOK ...]``.

A fresh environment gets what Colab has installed. Then each notebook is run from the top, as it is,
by a kernel that takes itself for Colab's, on the CPU, with one difference: the repository's address
leads to the last commit of this checkout. So the first cell of the first notebook installs the
package. Printed are the packages that it has changed or added, and each notebook's minutes. Needs
git and Python 3.12 (``PYTHON=python3.12``, or another path).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "book"))

from address import UNSET  # noqa: E402
from execute import KERNEL_ENVIRONMENT, TIMEOUT, listed  # noqa: E402

# What the package needs of pip-freeze.txt in googlecolab/backend-info, of 19 August 2026.
PREINSTALLED = """
absl-py==1.4.0 defusedxml==0.7.1 gast==0.7.0 h5py==3.16.0 ipykernel==6.17.1 ipython==7.34.0
ipywidgets==7.7.1 jupyterlab_widgets==3.0.16 keras==3.13.2 matplotlib==3.10.0 ml_dtypes==0.6.0
music21==9.9.2 numpy==2.1.3 pandas==2.2.3 pillow==11.3.0 pooch==1.9.0 protobuf==5.29.6
scipy==1.16.3 soundfile==0.14.0 tensorflow==2.20.0 tensorflow-probability==0.25.0
tf_keras==2.20.1 tqdm==4.67.3 widgetsnbextension==3.6.10
"""
STARTUP = "import sys, types; sys.modules['google.colab'] = types.ModuleType('google.colab')"


def environment(folder):
    """Make the environment in a folder; return what a kernel of it needs to be Colab's."""
    python = os.environ.get("PYTHON", "python3.12")
    subprocess.run([python, "-m", "venv", folder / "env"], check=True)
    bin_ = folder / "env/bin"
    subprocess.run([bin_ / "pip", "install", "--quiet", *PREINSTALLED.split()], check=True)
    kernel = [bin_ / "python", "-m", "ipykernel", "install", "--name", "colab", "--prefix", folder]
    subprocess.run(kernel, check=True, capture_output=True)
    startup = folder / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "colab.py").write_text(STARTUP)
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    address = config.get("repository", {}).get("url", UNSET)
    return KERNEL_ENVIRONMENT | {
        "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
        "JUPYTER_PATH": str(folder / "share/jupyter"),
        "IPYTHONDIR": str(folder / "ipython"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{ROOT}.insteadOf",
        "GIT_CONFIG_VALUE_0": address,
    }


def versions():
    """Version of each package that is installed, by name."""
    listing = subprocess.check_output(["pip", "list", "--format=json"], text=True)
    return {package["name"]: package["version"] for package in json.loads(listing)}


def run(path, folder):
    """Run a notebook in a folder that holds nothing else; return its error, or None."""
    content = folder / f"content-{path.stem}"
    content.mkdir()
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(content)}}
    try:
        NotebookClient(
            notebook, timeout=TIMEOUT, kernel_name="colab", resources=resources
        ).execute()
    except CellExecutionError as error:
        return str(error)
    return None


def main(paths):
    """Print what happens; return how many notebooks failed."""
    notebooks = [Path(path) for path in paths]
    notebooks = notebooks or [page for page in listed() if page.suffix == ".ipynb"]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(environment(Path(folder)))
        known = versions()
        print(*(f"{name} {known[name]}" for name in ("tensorflow", "numpy")), sep=", ", flush=True)
        for path in notebooks:
            start = time.perf_counter()
            error = run(path, Path(folder))
            minutes = (time.perf_counter() - start) / 60
            print(f"{path.name}: {'failed' if error else 'passed'}, {minutes:.1f} minutes")
            now = versions()
            for name, version in sorted(now.items() - known.items()):
                print(f"  installed {name} {version} (was: {known.get(name, 'not there')})")
            known = now
            if error:
                failed += 1
                print(error, file=sys.stderr)
            sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
