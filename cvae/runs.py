"""Runs on disk: a folder with the settings that rebuild a model, its weights, and how far it got.

::

    settings.json   model family and options, corpus, class names, training settings, version
    weights.npz     the best weights so far
    state.npz       all that an interrupted training needs to go on as if nothing had happened

Each file is replaced in one step, so that a crash leaves the old one or the new one, never half of
one. Arrays are plain NumPy, never pickles.
"""

import contextlib
import hashlib
import inspect
import io
import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

import cvae
from cvae.models import MODELS, LatentModel
from cvae.models.checks import check_seed
from cvae.music import load_corpus, parse_key
from cvae.music.corpora import SPLITS, is_read_from_files
from cvae.music.files import Reading
from cvae.music.keys import are_keys
from cvae.paths import PARTIAL, data_folder, reason, write_atomically
from cvae.stored import read_arrays, read_json

__all__ = ["Run", "build_model", "load_run", "load_settings", "model_options"]

SETTINGS, WEIGHTS, STATE, LOCK = "settings.json", "weights.npz", "state.npz", ".lock"


def model_options(kind):
    """Options of a model family with their defaults.

    Parameters
    ----------
    kind : str
        A key of `cvae.models.MODELS`.

    Returns
    -------
    dict
        Name to default, without `name`: `pitches` among them, and `classes` if the family has w.

    Raises
    ------
    ValueError
        For an unknown kind.
    """
    if kind not in MODELS:
        raise ValueError(f"model: got {kind!r}, must be one of {', '.join(MODELS)}")
    options = {}
    for family in reversed(MODELS[kind].__mro__):
        if "__init__" in vars(family) and issubclass(family, LatentModel):
            for parameter in inspect.signature(family.__init__).parameters.values():
                if parameter.default is not parameter.empty:
                    options[parameter.name] = parameter.default
    options.pop("name", None)
    return options


def build_model(kind, classes, **options):
    """A new model with freshly drawn weights.

    Parameters
    ----------
    kind : str
        A key of `cvae.models.MODELS`.
    classes : int
        K; ignored by the families without a class latent.
    **options
        Other options of the family, see `model_options`.

    Returns
    -------
    LatentModel

    Raises
    ------
    ValueError
        For an unknown kind or option, or a value out of its range.
    """
    known = model_options(kind)
    for option in options:
        if option not in known:
            raise ValueError(f"{option}: not an option of {kind}; it has {', '.join(known)}")
        if isinstance(known[option], bool) and not isinstance(options[option], bool):
            raise ValueError(f"{option}: got {options[option]!r}, must be true or false")
    check_seed(options.get("seed", 0))
    if "classes" in known:
        options["classes"] = classes
    return MODELS[kind](**options)


@dataclass(frozen=True)
class Run:
    """A model with what is known of it.

    Attributes
    ----------
    folder : Path
    model : LatentModel
    settings : dict
        model, options, corpus, keys, training, version: see `cvae.runs`.
    """

    folder: Path
    model: LatentModel
    settings: dict

    @classmethod
    def plan(cls, folder, kind, corpus, training=None, overwrite=False, **options):
        """Build a model for a corpus; nothing is written before `start`.

        Parameters
        ----------
        folder : path
        kind : str
            A key of `cvae.models.MODELS`.
        corpus : Corpus
        training : dict, optional
            Training settings, written beside the model's.
        overwrite : bool
            Replace the run that the folder holds.
        **options
            Of the model.

        Raises
        ------
        ValueError
            If the folder holds a run already, an option is wrong, or there are no keys to tell
            apart.
        """
        folder = Path(folder)
        are_keys(corpus.keys)  # else one of them is misspelt
        if not overwrite and any((folder / name).exists() for name in (SETTINGS, WEIGHTS, STATE)):
            raise ValueError(f"{folder}: holds a run already; choose --overwrite or --resume")
        if len(corpus.keys) == 1 and "classes" in model_options(kind):
            raise ValueError(
                f"model: got {kind!r}, which tells keys apart, but all songs of the corpus are in "
                f"{corpus.keys[0]}; choose vae or vae-lstm"
            )
        model = build_model(kind, len(corpus.keys), **options)
        # Written in full: a default that changes later must not change this model.
        options = model_options(kind) | options
        options.pop("classes", None)
        settings = {
            "model": kind,
            "options": options,
            "corpus": corpus.name,
            "keys": list(corpus.keys),
            "step": corpus.step,
            "reading": corpus.reading,
            "fingerprint": fingerprint(corpus),
            "training": training or {},
            "version": cvae.__version__,
        }
        return cls(folder, model, settings)

    def start(self):
        """Make the folder, with the settings and without weights; returns the run.

        Raises
        ------
        ValueError
            If the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with locked(self.folder):
                for name in (WEIGHTS, STATE):
                    (self.folder / name).unlink(missing_ok=True)
                self.write_settings()
        except OSError as error:
            raise ValueError(f"{self.folder}: cannot be written: {error.strerror}") from error
        return self

    def write_settings(self):
        """Write the settings to the folder."""
        settings = json.dumps(self.settings, indent=2) + "\n"
        write_atomically(self.folder / SETTINGS, settings.encode())

    def corpus(self, name=None):
        """The corpus that the model was trained on, or another with its classes.

        Parameters
        ----------
        name : str or path, optional
            See `load_corpus`.

        Returns
        -------
        Corpus
            With the classes of the model, if it has any.

        Raises
        ------
        ValueError
            If there is no such corpus, or it has keys that the model lacks, or other steps.
        """
        keys = tuple(self.settings["keys"])
        in_keys = are_keys(keys)
        if self.model.classes and not in_keys:
            raise ValueError(
                f"corpus: none has the classes of {self.folder}, {', '.join(keys)}: they are not "
                "keys; start from a file, or in Python from a corpus of your own"
            )
        minor = in_keys and any(parse_key(key).mode == "minor" for key in keys)
        own = self.settings["corpus"]
        if name is None and Path(own).is_absolute() and not Path(own).exists():
            raise ValueError(
                f"corpus: {own}, that of {self.folder}, is no longer there; name another, or a "
                "file to start from"
            )
        name = name or own
        reading = asdict(self.reading) if is_read_from_files(name) else {}
        corpus = load_corpus(name, "major-minor" if minor else "relative-major", **reading)
        if corpus.step != self.reading.step:
            raise ValueError(
                f"corpus: {corpus.name!r} has steps of {corpus.step:g} quarter notes, those of the "
                f"model are of {self.reading.step:g}"
            )
        if not self.model.classes:
            return corpus
        if not set(corpus.keys) <= set(keys):
            missing = ", ".join(sorted(set(corpus.keys) - set(keys)))
            raise ValueError(f"corpus: {corpus.name!r} has keys that the model lacks: {missing}")
        return replace(corpus, keys=keys)

    @property
    def reading(self):
        """How files are read for the model: in its steps, and otherwise as its corpus was."""
        return _reading(self.settings)

    def check_unchanged(self, corpus):
        """Raise ValueError if a corpus is not, song by song, the one that the run began with."""
        # A run from before there were fingerprints has none.
        if self.settings.get("fingerprint") not in (None, fingerprint(corpus)):
            raise ValueError(
                f"corpus: {corpus.name!r} has changed since {self.folder} began; train a new run"
            )

    def key_index(self, key, argument="key"):
        """Class by its name; a minor key may go by its relative major.

        Raises
        ------
        ValueError
            If the model does not know the key.
        """
        if not self.model.classes:
            raise ValueError(
                f"{argument}: got {key!r}, the model {self.settings['model']} knows no keys"
            )
        keys, name = self.settings["keys"], key
        if are_keys(keys):
            asked = parse_key(key, argument)
            relative = all(parse_key(known).mode == "major" for known in keys)
            name = asked.relative_major.name if relative else asked.name
        if name not in keys:
            raise ValueError(f"{argument}: got {key!r}, the model knows {', '.join(keys)}")
        return keys.index(name)

    @classmethod
    def untrained(cls, folder):
        """The run of a folder with its model as it was before training: `fit` can resume it.

        Raises
        ------
        ValueError
            If the folder holds no run.
        """
        settings = load_settings(folder)
        try:
            model = build_model(settings["model"], len(settings["keys"]), **settings["options"])
        except (TypeError, ValueError) as error:
            raise ValueError(f"{Path(folder) / SETTINGS}: {reason(error)}") from error
        return cls(Path(folder), model, settings)


def load_run(name_or_path, folder="runs"):
    """Load a trained model.

    Parameters
    ----------
    name_or_path : str or Path
        Path of a run's folder, the name of one in `folder`, or the name of one that comes with the
        project (in ``data/models``).
    folder : path
        Where one's own runs are.

    Returns
    -------
    Run
        Its model holds the best weights.

    Raises
    ------
    ValueError
        If there is no such run, or one of its files is missing, truncated or not what it should be.
    """
    run = Run.untrained(find_run(name_or_path, folder))
    weights = run.folder / WEIGHTS
    set_weights(run.model.variables, load_arrays(weights), weights)
    return run


def find_run(name_or_path, folder="runs"):
    """Folder of a run, by the places where `load_run` looks; ValueError if there is none."""
    places = [Path(name_or_path), Path(folder) / name_or_path]
    places.append(data_folder() / "models" / name_or_path)
    found = [place for place in places if (place / SETTINGS).is_file()]
    if not found:
        looked = ", ".join(dict.fromkeys(map(str, places)))
        raise ValueError(f"run: no {str(name_or_path)!r}; looked for {looked}")
    return found[0]


def _reading(settings):
    # Runs from before there was a choice have steps of a quarter note.
    return Reading(**{"step": settings.get("step", 1.0)} | settings.get("reading", {}))


def fingerprint(corpus):
    """SHA-256 of all songs of a corpus and their keys, by split."""
    digest = hashlib.sha256()
    for split in SPLITS:
        for song in corpus.split(split):
            digest.update(f"{split} {song.key} {len(song.roll)}".encode())
            digest.update(np.packbits(song.roll))
    return digest.hexdigest()


def load_settings(folder):
    """Settings of a run; ValueError if they are missing or malformed."""
    path = Path(folder) / SETTINGS
    fields = {"model": str, "options": dict, "corpus": str, "keys": list, "training": dict}
    if not path.exists():
        raise ValueError(f"{folder}: holds no run")
    settings = read_json(path)
    for field, kind in fields.items():
        if not isinstance(settings, dict) or not isinstance(settings.get(field), kind):
            raise ValueError(f"{path}: {field!r} is missing or not a {kind.__name__}")
    try:
        are_keys(settings["keys"])
    except ValueError as error:
        raise ValueError(f"{path}: {reason(error)}") from None
    try:
        _reading(settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: 'step' and 'reading': {reason(error)}") from error
    return settings


def weights_of(variables):
    """Values of Keras variables, by names that are the same in each process."""
    return dict(zip(_names(variables), (variable.numpy() for variable in variables), strict=True))


def set_weights(variables, arrays, path):
    """Assign arrays to Keras variables by name; ValueError naming `path` unless all fit."""
    variables = dict(zip(_names(variables), variables, strict=True))
    expected = {name: f"{v.dtype} {tuple(v.shape)}" for name, v in variables.items()}
    got = {name: f"{array.dtype} {array.shape}" for name, array in arrays.items()}
    for name in sorted(expected.keys() | got.keys()):
        if expected.get(name) != got.get(name):
            raise ValueError(
                f"{path}: weights of another model: {name} is {got.get(name, 'missing')}, "
                f"must be {expected.get(name, 'absent')}"
            )
    if not all(np.all(np.isfinite(array)) for array in arrays.values()):
        raise ValueError(f"{path}: weights that are not finite")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _names(variables):
    # Keras counts optimizers and dropout layers through the process (adam_1/..., adam_2/...), and
    # some optimizers give two variables one path: so places are numbered here, and its counts left.
    paths = (re.sub(r"_\d+/", "/", variable.path, count=1) for variable in variables)
    return [f"{i:02d}_{path}" for i, path in enumerate(paths)]


def check_history(history, path):
    """Raise ValueError naming `path` unless a history has epochs 1 to n, in all of its columns."""
    epochs = history.get("epoch", np.empty(0))
    sound = {"epoch", "train_bound", "valid_bound"} <= history.keys() and all(
        column.shape == epochs.shape and column.dtype.kind in "if" for column in history.values()
    )
    if not sound or epochs.size == 0 or not np.array_equal(epochs, 1 + np.arange(epochs.size)):
        raise ValueError(f"{path}: holds no history")


@contextlib.contextmanager
def locked(folder):
    """Keep other trainings out of a folder; ValueError if it is not there, or one of them is."""
    if not Path(folder).is_dir():
        raise ValueError(f"folder: {folder} is not there; `Run.start` makes it")
    with open(Path(folder) / LOCK, "w") as file:
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{folder}: another training is writing there") from None
        for half in Path(folder).glob(f"*{PARTIAL}"):  # of a training that was killed
            half.unlink()
        yield


def save_arrays(path, arrays):
    """Write named arrays to an .npz file in one step."""
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)
    write_atomically(path, data.getvalue())


def load_arrays(path):
    """Read named arrays from an .npz file; ValueError if it is missing, truncated or foreign."""
    if not Path(path).exists():
        raise ValueError(f"{path}: missing; the run was never trained to its first epoch")
    return read_arrays(path)
