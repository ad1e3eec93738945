"""The words of the command `cvae`: its subcommands, options and their defaults."""

import argparse
import dataclasses
import inspect
import sys

from cvae.experiments import KEY_MODEL
from cvae.music.corpora import CORPORA, FILES
from cvae.music.files import KEYS_FROM, Reading
from cvae.quiet import import_tensorflow

__all__ = ["CHOICES", "READING", "flag", "parse"]

READING = {
    "step": {"type": float, "metavar": "QUARTERS", "help": "steps of so many quarter notes"},
    "pedal": {"nargs": 0, "help": "notes sound on while the pedal of a MIDI file is down"},
    "key_from": {"choices": KEYS_FROM, "help": "keys: of the key signatures or by analysis"},
}
CHOICES = {"model": "cl-vae", "corpus": "jsb", "key_classes": "relative-major"}

# The original code's spellings; `-` and `_` are the same in any option.
ORIGINAL_SPELLINGS = {
    "--num-epochs": "--epochs",
    "--original-dim": "--pitches",
    "--intermediate-dim": "--hidden-dim",
    "--intermediate-class-dim": "--hidden-class-dim",
    "--train-file": "--corpus",
    "--do-log": "--log",
    "--infer-w": "--infer-key",
    "--model-file": "--run",
    "-c": "--seed-key",
    "-i": "--run",
}


def flag(name):
    """Name of an argument on the command line: ``-n``, ``--seq-length``, ``NAME``."""
    if name in ("name", "file"):
        return name.upper()
    return f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        print(f"{self.prog}: error: {message}", file=sys.stderr)
        sys.exit(2)


class _Given(argparse.Action):
    """Collects the options that were given, so that each default stands in one place only."""

    def __call__(self, parser, namespace, values, option_string=None):
        value = True if self.nargs == 0 else values
        namespace.options = {**getattr(namespace, "options", {}), self.dest: value}


def _modern(word):
    name, equals, value = word.partition("=")
    if not name.startswith("--"):
        return ORIGINAL_SPELLINGS.get(word, word)
    name = name.replace("_", "-")
    return ORIGINAL_SPELLINGS.get(name, name) + equals + value


def parse(arguments, functions, description):
    """Read the words of a command.

    Parameters
    ----------
    arguments : list of str
        The original code's spellings are understood too.
    functions : mapping
        Name -> function that does the work of a subcommand, whose docstring is its help.
    description : str
        Of the whole command.

    Returns
    -------
    argparse.Namespace
        ``command`` is the function of the subcommand.
    """
    arguments = [_modern(word) for word in arguments]
    parser = _Parser(prog="cvae", description=description)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    formatter = argparse.ArgumentDefaultsHelpFormatter

    def command(name, within=commands):
        function = functions[name]
        last = name.rpartition("_")[2]
        added = within.add_parser(last, help=function.__doc__, formatter_class=formatter)
        added.set_defaults(command=function)
        return added

    p = command("train")
    if "train" in arguments[:1]:  # its options come from modules that import TensorFlow
        import_tensorflow()
        _add_train(p)
    _add_sample(command("sample"))
    p = command("key")
    p.add_argument("file", help="of MIDI or MusicXML")
    p.add_argument("--model", default=KEY_MODEL, help="a run that knows keys, or the path of one")
    p.add_argument("--model-dir", default="runs", help="where the runs are")
    p.add_argument(
        "--over-time",
        action="store_true",
        help="also a line for each bar, counted from the beginning",
    )
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p = command("evaluate")
    p.add_argument("name", help="a run, or the path of one")
    p.add_argument("--model-dir", default="runs", help="where the runs are")
    p.add_argument("--corpus", help="score it on this corpus instead of the run's own")
    p.add_argument("--split", default="test", help="train, valid or test")
    p.add_argument("--seed", type=int, default=0, help="of the posterior samples")
    p.add_argument("--draws", type=int, default=10, help="posterior samples of the bound")
    p.add_argument("--iw-samples", type=int, default=64, help="of the importance-weighted bound")
    p.add_argument("--samples", type=int, default=500, help="generated, for their statistics")
    p.add_argument(
        "--mixture", action="store_true", help="also the mixture of all twelve transpositions"
    )
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p = command("reproduce")
    p.add_argument("--only", help="one experiment, such as twins; a wrong name lists them all")
    p.add_argument("--model-dir", default="runs", help="where the runs go")
    p.add_argument(
        "--quick", action="store_true", help="small models for one epoch each, to see that it works"
    )
    p.add_argument("--jobs", type=int, default=1, help="runs side by side")
    corpus = commands.add_parser("corpus", help="build or describe a corpus")
    corpus = corpus.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    p = command("corpus_build", corpus)
    p.add_argument("name", choices=["jsb", "jsb-local-keys"], help="the corpus, or local keys")
    p = command("corpus_fetch", corpus)
    p.add_argument("name", choices=[*FILES, "all"], help="the corpus")
    p = command("corpus_info", corpus)
    p.add_argument("name", help="a corpus, or the path of a folder or file of music, or a pickle")
    _add_reading(p)
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p = command("corpus_excerpt", corpus)
    p.add_argument("name", help="a corpus, or the path of a folder or file of music, or a pickle")
    _add_reading(p)
    _add_songs(p)
    p.add_argument("--skip", type=int, default=16, help="steps from the beginning of the song")
    _add_output(p)
    return parser.parse_args(arguments)


def _add_train(p):
    from cvae.models import MODELS
    from cvae.runs import model_options
    from cvae.training import TrainingConfig

    p.add_argument("name", help="of the run: a new folder in --model-dir")
    helps = {
        "model": ", ".join(MODELS),
        "corpus": f"{', '.join(CORPORA)}, or the path of a folder or file of music, or a pickle",
        "key_classes": "relative-major (a minor key goes by its relative major), major-minor, or "
        "all-keys (the same, with a class for each of the 24)",
    }
    for name, default in CHOICES.items():
        text = f"{helps[name]} (default: {default})"
        p.add_argument(flag(name), dest=name, action=_Given, default=argparse.SUPPRESS, help=text)
    _add_reading(p)
    p.add_argument("--model-dir", default="runs", help="where the runs are")
    p.add_argument("--overwrite", action="store_true", help="replace an existing run")
    p.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    p.add_argument(
        "--distribute",
        default="none",
        help="mirrored: over the GPUs of this machine; workers: over the machines of TF_CONFIG",
    )
    p.add_argument("--log", action="store_true", help="write logs for TensorBoard (not installed)")
    p.add_argument(
        "--log-dir", default=argparse.SUPPRESS, help="write them to a folder in this one"
    )
    p.set_defaults(log_dir=None)
    settings = {field.name: field.default for field in dataclasses.fields(TrainingConfig)}
    for kind in MODELS:
        settings = model_options(kind) | settings
    settings.pop("classes")
    meaning = {}
    for documented in (*MODELS.values(), TrainingConfig):
        meaning = _parameters(documented) | meaning
    for name, default in settings.items():
        how = {"type": type(default), "metavar": type(default).__name__.upper()}
        if isinstance(default, bool):
            how = {"nargs": 0}
        if name == "seq_length":
            how = {"type": lambda text: int(text) if text.isdigit() else text, "metavar": "STEPS"}
        p.add_argument(
            flag(name),
            dest=name,
            action=_Given,
            default=argparse.SUPPRESS,
            help=f"{meaning.get(name, '')} (default: {default})".replace("%", "%%").strip(),
            **how,
        )


def _add_reading(p):
    for name, how in READING.items():
        how = how | {
            "help": f"{how['help']} (of MIDI and MusicXML; default: {getattr(Reading(), name)})"
        }
        p.add_argument(flag(name), dest=name, action=_Given, default=argparse.SUPPRESS, **how)


def _parameters(documented):
    """Name -> meaning, from the Parameters section of a numpydoc docstring."""
    section = inspect.getdoc(documented).partition("Parameters\n----------\n")[2]
    meaning, names = {}, []
    for line in section.splitlines():
        if line.startswith("---"):
            break
        if line.startswith("    "):
            meaning |= {n: f"{meaning.get(n, '')} {line.strip()}".strip() for n in names}
        else:
            listed, _, kind = line.partition(" : ")
            names = [name.strip() for name in listed.split(",")]
            if kind.startswith("{"):
                choices = kind.strip("{}").replace('"', "")
                meaning |= dict.fromkeys(names, f"one of {choices}:")
    return meaning


def _add_sample(p):
    p.add_argument("name", help="a run, or the path of one; also names the files")
    p.add_argument("--run", help="the run, where NAME only names the files")
    p.add_argument("--model-dir", default="runs", help="where the runs are")
    which = p.add_mutually_exclusive_group()
    which.add_argument("--key", help='for example "E- major"; inferred from the seed if not given')
    which.add_argument("--infer-key", action="store_true", help="infer it, as by default")
    p.add_argument("--then-key", help="key of the second half, after --key")
    p.add_argument("--certainty", type=float, help="of the key, 0 to 1 (by default the model's)")
    p.add_argument("--w-from", default="mean", help="inferred w: mean, sample or discrete")
    p.add_argument(
        "--discrete-w",
        dest="w_from",
        action="store_const",
        const="discrete",
        default=argparse.SUPPRESS,
        help="the same as --w-from discrete",
    )
    p.add_argument("--temperature", type=float, default=1.0, help="below 1: tamer, above: wilder")
    p.add_argument("--z-from", default="prior", help="prior, or posterior (the original's)")
    p.add_argument(
        "--use-z-prior",
        dest="z_from",
        action="store_const",
        const="prior",
        default=argparse.SUPPRESS,
        help="the same as --z-from prior",
    )
    p.add_argument("--corpus", help="take seeds from this corpus instead of the run's own")
    _add_songs(p)
    p.add_argument("--seed-file", help="take the seed from a MIDI or MusicXML file")
    p.add_argument("--seed-steps", type=int, default=16, help="steps of the seed to read")
    _add_output(p)


def _add_songs(p):
    """Which songs of a corpus, and how much."""
    p.add_argument("-n", type=int, default=1, help="number of samples")
    p.add_argument("-t", type=int, default=32, help="steps of each")
    p.add_argument("--split", default="test", help="take songs from its train, valid or test")
    p.add_argument("--seed-key", help="take songs that are in this key (original: -c)")
    p.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples")


def _add_output(p):
    p.add_argument("--sample-dir", default="samples", help="where the files go")
    p.add_argument("--audio", default="mp3", choices=["mp3", "wav", "none"], help="beside MIDI")
    p.add_argument("--bpm", type=float, default=90, help="quarter notes a minute")
    p.add_argument("--overwrite", action="store_true", help="replace existing files")
