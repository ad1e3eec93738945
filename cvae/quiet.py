"""TensorFlow without its greeting."""

import os

__all__ = ["import_tensorflow"]


def import_tensorflow():
    """Import TensorFlow without its greeting, which its C++ code writes past Python."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            import keras  # noqa: F401
            import tensorflow
            import tensorflow_probability  # noqa: F401

            # Looks for a GPU, and complains if there is none.
            tensorflow.config.list_physical_devices("GPU")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
