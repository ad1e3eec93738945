"""3 kills in each test run; ``python tests/kill.py 50 7`` tries more."""

import json
import subprocess
import sys
from pathlib import Path


def test_a_killed_training_ends_as_one_that_was_left_alone():
    # A process of its own, since TensorFlow must not have run anything before it is forked.
    command = [sys.executable, Path(__file__).with_name("kill.py"), "3", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["kills"] == 3 and 0 < result["epochs"][-1] < 24
    assert result["differing"] == [] and result["left behind"] == []
