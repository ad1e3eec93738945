"""The listening room in JupyterLab, as a reader uses it: choose, generate, play, save."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import nbformat
import numpy as np
import pytest
from test_browser import CHROMIUM, FLAGS

from cvae.music.midi import read_midi

sync_api = pytest.importorskip("playwright.sync_api")

PATIENCE = 400_000  # ms: a kernel starts, TensorFlow is imported, models are compiled
ATTEMPTS = 5
SOURCE = """from cvae.widgets import listening_room
listening_room(runs=["jsb-cl-vae", "jsb-vae"])"""
PLAYED = """async audio => {
  audio.muted = true;
  await audio.play();
  while (audio.currentTime === 0) await new Promise(requestAnimationFrame);
  audio.pause();
  return audio.duration;
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab on a folder with one notebook, and the folder."""
    folder = tmp_path_factory.mktemp("lab")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SOURCE)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "room.ipynb")
    options = [
        "--no-browser",
        "--allow-root",
        "--port=0",
        "--ServerApp.token=",
        "--expose-app-in-browser",
    ]
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    environment |= {
        "JUPYTER_RUNTIME_DIR": str(folder / ".runtime"),
        "JUPYTER_CONFIG_DIR": str(folder / ".config"),
    }
    with open(folder / ".log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={folder}"],
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield _address(folder / ".log", server), folder
    finally:
        server.terminate()
        server.wait(30)


def _address(log, server):
    """Where the server listens, once it does."""
    for _ in range(240):
        found = re.search(r"http://(?:127\.0\.0\.1|localhost):(\d+)/", log.read_text())
        if found:
            address = f"http://127.0.0.1:{found.group(1)}/"
            with urlopen(address + "api") as answer:
                assert answer.status == 200
            return address
        assert server.poll() is None, log.read_text()
        time.sleep(0.25)
    raise AssertionError(log.read_text())


@pytest.fixture
def page(lab):
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 2000})
        page.set_default_timeout(PATIENCE)
        page.goto(f"{lab[0]}lab/tree/room.ipynb")
        yield page
        browser.close()


def run_first_cell(page, until):
    """Run it until its output is there: JupyterLab forgets what it ran if a kernel comes late."""
    for attempt in range(ATTEMPTS):
        page.locator(".jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        try:
            return until.wait_for(timeout=PATIENCE / ATTEMPTS)
        except sync_api.TimeoutError:
            if attempt == ATTEMPTS - 1:
                raise


def test_choose_generate_play_and_save(page, lab):
    room = page.locator(".jp-OutputArea-output .widget-vbox").first
    run_first_cell(page, until=room.get_by_role("button", name="Generate"))

    room.get_by_role("button", name="E♭", exact=True).focus()
    page.keyboard.press("Space")  # all of it can be done from the keyboard
    status = room.locator("[role=status]")
    generate = room.get_by_role("button", name="Generate")
    generate.focus()
    page.keyboard.press("Enter")
    status.get_by_text("ready").wait_for()
    assert "E♭ major" in status.inner_text()
    audio = room.locator("audio").first
    assert audio.evaluate(PLAYED) > 7
    assert "E♭ major" in room.locator("img").first.get_attribute("alt")
    assert room.locator("th", has_text="pitch-in-scale rate").count() == 1

    room.get_by_role("button", name="Save the MIDI file").click()
    link = room.locator("a[download]")
    link.wait_for()
    with page.expect_download() as download:
        link.click()
    (saved,) = Path(lab[1]).glob("takes/*.mid")
    roll = read_midi(saved)
    assert roll.shape == (16, 88) and roll.any()
    assert Path(download.value.path()).read_bytes() == saved.read_bytes()

    room.get_by_role("button", name="Hold w, draw z again").click()
    status.get_by_text("to take 1: ready").wait_for()
    assert room.locator("audio").count() == 2

    room.locator("select").nth(1).select_option(index=1)
    room.get_by_text("This model has no w").wait_for()
    assert room.get_by_role("button", name="E♭", exact=True).is_disabled()
    generate.click()
    status.get_by_text("VAE: jsb-vae").wait_for()
    assert np.array_equal(read_midi(saved), roll)
