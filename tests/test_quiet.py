"""TensorFlow's log, which C++ writes past Python, is not among a notebook's outputs."""

import os
import re
from importlib.metadata import version

import address
from jupyter_client.manager import start_new_kernel
from packaging.version import Version

USED = """\
import tensorflow as tf

tf.function(lambda x: 2 * x, jit_compile=True)(tf.zeros(3))
tf.config.list_physical_devices("GPU");
"""
# Before 2.21, XLA greets the first that compiles, whatever the level of the log.
GREETING = r"(?m)^(?:I0000 .*(?:service\.cc|device_compiler\.h).*|WARNING: All log .*)\n"


def test_a_kernel_that_starts_tensorflow_says_nothing():
    # Under pytest, which it knows by a variable, ipykernel copies nothing of C++ into the outputs.
    hidden = ("PYTEST_CURRENT_TEST", "TF_CPP_MIN_LOG_LEVEL", "CUDA_VISIBLE_DEVICES")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    manager, client = start_new_kernel(env=environment)
    said = []

    def hear(message):
        if message["msg_type"] in ("stream", "error"):
            said.append(message["content"])

    try:
        for code in (address.SETUP, USED, "import os; os.write(2, b'heard');"):
            client.execute_interactive(code, output_hook=hear, timeout=300)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    text = "".join(content["text"] for content in said)
    if Version(version("tensorflow")) < Version("2.21"):
        text = re.sub(GREETING, "", text)
    assert text == "heard"
