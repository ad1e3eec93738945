"""Several workers, or devices: they do what one would, and a run goes on after one was killed."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from cvae.replicas import share, strategy
from cvae.runs import STATE, load_arrays

WORKER = Path(__file__).parent / "worker.py"
TRAINING = {"epochs": 6, "batch_size": 4, "seq_length": 3, "carry_state": True}
TRAINING |= {"clip_norm": 1.0, "patience": 0}
LAUNCH = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for opened in sockets:
        opened.bind(("localhost", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def train(workers, folder, die_at=None, resume=False, devices=1):
    """Run so many workers to their end; exit status and last words of each."""
    folder.mkdir(exist_ok=True)
    addresses = [f"localhost:{port}" for port in free_ports(workers)]
    processes = []
    for number in range(workers):
        settings = {"number": number, "folder": str(folder), "resume": resume, "devices": devices}
        settings |= {"training": TRAINING, "die_at": die_at if number else None}
        command = [sys.executable, WORKER, json.dumps(settings)]
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
        if workers > 1:
            task = {"type": "worker", "index": number}
            config = {"cluster": {"worker": addresses}, "task": task}
            environment |= {"TF_CONFIG": json.dumps(config)}
        processes.append(subprocess.Popen(command, env=environment, **LAUNCH))
    ends = [process.communicate(timeout=300) for process in processes]
    return [(p.returncode, err) for p, (_, err) in zip(processes, ends, strict=True)]


def weights(folder, number=0):
    return load_arrays(folder / f"end-{number}.npz")


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas") / "two"
    ends = train(2, folder)
    assert [status for status, _ in ends] == [0, 0], ends
    return folder


def farthest(a, b):
    """Largest difference between the weights of two trainings."""
    assert a.keys() == b.keys()
    return max(np.max(np.abs(a[name] - b[name])) for name in a)


def test_two_workers_or_devices_with_half_batches_end_as_one_with_whole_ones(together, tmp_path):
    assert train(1, tmp_path / "one")[0][0] == 0
    assert train(1, tmp_path / "mirrored", devices=2)[0][0] == 0
    assert farthest(weights(together), weights(together, 1)) == 0
    state = load_arrays(tmp_path / "one" / STATE)
    for folder in (together, tmp_path / "mirrored"):
        assert farthest(weights(folder), weights(tmp_path / "one")) < 1e-4
        for bound in ("history/valid_bound", "history/train_bound"):
            found = load_arrays(folder / STATE)[bound]
            np.testing.assert_allclose(found, state[bound], rtol=1e-5)


def test_a_run_whose_worker_was_killed_goes_on_from_its_checkpoint(together, tmp_path):
    folder = tmp_path / "killed"
    (survivor, said), (killed, _) = train(2, folder, die_at=3)
    assert killed < 0 and survivor > 0
    assert said.splitlines()[-1].startswith("ConnectionError: another worker is gone")
    assert len(load_arrays(folder / STATE)["history/epoch"]) == 3
    assert [status for status, _ in train(2, folder, resume=True)] == [0, 0]
    assert farthest(weights(folder), weights(together)) == 0


def test_shares_are_the_whole_in_equal_parts():
    arrays = (tf.range(6), None, tf.reshape(tf.range(12), (6, 2)))
    parts = [share(arrays, 3, number) for number in range(3)]
    assert [part[1] for part in parts] == [None] * 3
    for i in (0, 2):
        whole = np.concatenate([part[i] for part in parts])
        np.testing.assert_array_equal(whole, arrays[i])
        assert len(parts[0][i]) == 2


@pytest.mark.parametrize(
    "config",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 7}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
        '{"cluster": {"worker": [1]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}, "task": {}}',
    ],
)
def test_workers_that_no_cluster_names_are_refused(config, monkeypatch):
    """And do not train alone, each for itself."""
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(
        ValueError, match=r"\Adistribute: workers needs TF_CONFIG=[^\n]+, got "
    ) as e:
        strategy("workers")
    assert str(e.value).endswith(repr(config))


def test_an_unknown_strategy_is_named():
    with pytest.raises(ValueError, match=r"\Adistribute: [^\n]+none, mirrored, workers\Z"):
        strategy("widely")
