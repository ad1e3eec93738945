"""The command `cvae`: train, sample and evaluate models, build and describe corpora.

A user's mistake ends in one line on standard error and exit status 2; nothing is written then.
TensorFlow is imported only by the commands that need it.
"""

import argparse
import dataclasses
import inspect
import json
import os
import sys
from pathlib import Path

import numpy as np

from cvae.music import corpus_statistics, load_corpus, parse_key
from cvae.music.corpora import CORPORA, FILES, SPLITS
from cvae.music.files import KEYS_FROM, Reading, read_song
from cvae.quiet import import_tensorflow

__all__ = ["main"]

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


def main(arguments=None):
    """Run the command; returns the exit status (0, 1 if training diverged, 2 for bad input)."""
    arguments = [_modern(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    try:
        if {"train", "sample", "evaluate", "reproduce"} & set(arguments[:1]):
            import_tensorflow()
        parsed = _parser(arguments).parse_args(arguments)
        _check_not_empty(vars(parsed) | vars(parsed).get("options", {}))
        return parsed.command(parsed) or 0
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, MemoryError) as error:
        what = str(error) or "not enough memory"
        if isinstance(error, OSError) and error.filename:
            what = f"{error.filename}: {error.strerror}"
        print(f"cvae: error: {what}".replace("\n", " "), file=sys.stderr)
        return 2
    except FloatingPointError as error:  # training diverged
        print(f"cvae: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cvae: interrupted", file=sys.stderr)
        return 130


def _check_not_empty(options):
    """Raise ValueError for an empty value, as an unset shell variable gives."""
    for name, value in options.items():
        if value == "":
            raise ValueError(f"{name}: got an empty value")


def train(args):
    """`cvae train`: a new run, or --resume."""
    from cvae.runs import Run, load_settings, locked
    from cvae.training import Trainer, TrainingConfig

    folder = Path(args.model_dir) / args.name
    given = vars(args).get("options", {})
    of_training = {field.name for field in dataclasses.fields(TrainingConfig)}
    training_options = {name: given[name] for name in given if name in of_training}
    model_options = {name: given[name] for name in given if name not in of_training}
    chosen = {name: model_options.pop(name, default) for name, default in CHOICES.items()}
    reading = {name: model_options.pop(name) for name in READING if name in model_options}
    if training_options.get("optimizer") == "adam-wn":
        raise ValueError(
            "optimizer: adam-wn, the original's weight-normalised Adam, was dropped; adam is its "
            "plain form (data/results/weight-norm.json has the difference)"
        )
    if args.resume:
        also = set(given) - {"epochs"} | ({"overwrite"} if args.overwrite else set())
        if also:
            also = ", ".join(sorted(also))
            raise ValueError(f"--resume: takes all but --epochs from {folder}; got also {also}")
        settings = load_settings(folder)
        try:
            config = TrainingConfig(**(settings["training"] | training_options))
        except TypeError as error:
            raise ValueError(f"{folder}: settings.json, training: {error}") from None
        run = Run.untrained(folder)
        corpus = run.corpus()
    else:
        config = TrainingConfig(**training_options)
        corpus = load_corpus(chosen["corpus"], chosen["key_classes"], **reading)
        options = {"seed": config.seed} | model_options
        training = dataclasses.asdict(config)
        run = Run.plan(folder, chosen["model"], corpus, training, args.overwrite, **options)
    _report_skipped(corpus)
    trainer = Trainer(run.model, corpus, config, folder)
    if args.log or args.log_dir:
        trainer.log_to(Path(args.log_dir) / args.name if args.log_dir else folder / "logs")
    if args.resume:
        trainer.load_state()
        run.settings["training"] = dataclasses.asdict(config)
        with locked(folder):
            run.write_settings()
    else:
        run.start()
    history = trainer.run()
    bounds, best = history["valid_bound"], trainer.best_epoch
    best = len(bounds) - 1 if best is None else best
    print(f"{folder}: {len(bounds)} epochs, validation bound {bounds[best]:.3f} nats a step")


def sample(args):
    """`cvae sample`: MIDI and audio files."""
    from cvae.models.checks import check_seed, check_sizes
    from cvae.music.audio import render
    from cvae.music.audio import write as write_audio
    from cvae.music.midi import FASTEST, SLOWEST, write_midi
    from cvae.runs import load_run

    run = load_run(args.run or args.name, args.model_dir)
    name = Path(args.name).name
    check_sizes(n=args.n, t=args.t, seed_steps=args.seed_steps)
    check_seed(args.seed)
    if not SLOWEST <= args.bpm <= FASTEST:
        raise ValueError(f"bpm: got {args.bpm}, must be from {SLOWEST} to {FASTEST}")
    if args.then_key and not args.key:
        raise ValueError(f"--then-key: got {args.then_key!r}, needs --key for the first half")
    key = run.key_index(args.key) if args.key else None
    if args.then_key:
        halves = np.arange(args.t) < (args.t + 1) // 2
        by_step = np.where(halves, key, run.key_index(args.then_key))
        key = np.broadcast_to(by_step, (args.n, args.t))
    if args.seed_file:
        if args.seed_key:
            raise ValueError("--seed-key: chooses songs of a corpus, got also --seed-file")
        seeds = [read_song(Path(args.seed_file), Reading(run.step)).roll]
    else:
        seeds = _seeds(run, args)
    if min(map(len, seeds)) < args.seed_steps:
        raise ValueError(
            f"--seed-steps: got {args.seed_steps}, a seed has {min(map(len, seeds))} steps"
        )
    seed_roll = np.stack([roll[: args.seed_steps] for roll in seeds])
    seed_roll = np.broadcast_to(seed_roll, (args.n, *seed_roll.shape[1:]))
    names = [Path(args.sample_dir) / f"{name}_{i}" for i in range(args.n)]
    suffixes = ("mid",) if args.audio == "none" else ("mid", args.audio)
    files = [[Path(f"{path}.{suffix}") for suffix in suffixes] for path in names]
    there = [path for paths in files for path in paths if path.exists()]
    if there and not args.overwrite:
        raise ValueError(f"{there[0]}: exists; choose --overwrite or another --sample-dir")
    rolls = run.model.generate(
        seed_roll,
        args.t,
        key,
        certainty=args.certainty,
        w_from=args.w_from,
        z_from=args.z_from,
        temperature=args.temperature,
        seed=args.seed,
    )
    Path(args.sample_dir).mkdir(parents=True, exist_ok=True)
    for (midi, *sound), roll in zip(files, rolls, strict=True):
        write_midi(roll, midi, bpm=args.bpm, step=run.step)
        for path in sound:
            write_audio(path, render(roll, bpm=args.bpm, step=run.step))
        print(midi)


def _seeds(run, args):
    """Rolls of songs of the corpus, drawn by the seed."""
    corpus = run.corpus(args.corpus)
    songs = corpus.split(args.split)
    if args.seed_key:
        asked = parse_key(args.seed_key)
        wanted = asked.name if asked.name in corpus.keys else asked.relative_major.name
        songs = [song for song in songs if song.key == wanted]
        if not songs:
            raise ValueError(f"--seed-key: no song of the split {args.split} is in {args.seed_key}")
    chosen = np.random.default_rng(args.seed).integers(len(songs), size=args.n)
    return [songs[i].roll for i in chosen]


def evaluate(args):
    """`cvae evaluate`: all scores of a run."""
    from cvae.evaluation import evaluate as scores
    from cvae.runs import load_run

    run = load_run(args.name, args.model_dir)
    corpus = run.corpus(args.corpus)
    result = {"model": run.settings["model"]}
    sizes = (args.draws, args.iw_samples, args.samples)
    result |= scores(run.model, corpus, args.split, args.seed, *sizes)
    _print(result, args.json)


def reproduce(args):
    """`cvae reproduce`: every figure that the book quotes."""
    from cvae.reproduce import reproduce as run_experiments

    for path in run_experiments(args.only, args.model_dir, args.quick, args.jobs):
        print(path)


def corpus_build(args):
    """`cvae corpus build`: the derived table, from music21."""
    from cvae.music.jsb import build_jsb

    print(build_jsb())


def corpus_fetch(args):
    """`cvae corpus fetch`: download what a corpus needs."""
    from cvae.music.downloads import download

    for name in FILES if args.name == "all" else [args.name]:
        for path in download(FILES[name], name):
            print(path)


def corpus_info(args):
    """`cvae corpus info`: what a corpus holds."""
    corpus = load_corpus(args.name, **getattr(args, "options", {}))
    _report_skipped(corpus)
    _print(corpus_statistics(corpus), args.json)


def _report_skipped(corpus):
    for line in corpus.skipped:
        print(f"skipped {line}", file=sys.stderr)
    if corpus.skipped:
        read = sum(len(corpus.split(split)) for split in SPLITS)
        print(f"read {read} of {read + len(corpus.skipped)} files", file=sys.stderr)


def _print(result, as_json):
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        nested = isinstance(value, dict) and any(isinstance(v, dict) for v in value.values())
        rows = {f"{name} {k}": v for k, v in value.items()} if nested else {name: value}
        for label, row in rows.items():
            print(f"{label:32} {_text(row)}")


def _text(value):
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(v)}" for name, v in value.items())
    if isinstance(value, float):
        return f"{value:.3f}"
    return " to ".join(map(str, value)) if isinstance(value, tuple) else str(value)


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


def _parser(arguments):
    parser = _Parser(prog="cvae", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    formatter = argparse.ArgumentDefaultsHelpFormatter

    def command(function, name, within=commands):
        added = within.add_parser(name, help=function.__doc__, formatter_class=formatter)
        added.set_defaults(command=function)
        return added

    p = command(train, "train")
    if "train" in arguments[:1]:  # its options come from modules that import TensorFlow
        _add_train(p)
    _add_sample(command(sample, "sample"))
    p = command(evaluate, "evaluate")
    p.add_argument("name", help="a run, or the path of one")
    p.add_argument("--model-dir", default="runs", help="where the runs are")
    p.add_argument("--corpus", help="score it on this corpus instead of the run's own")
    p.add_argument("--split", default="test", help="train, valid or test")
    p.add_argument("--seed", type=int, default=0, help="of the posterior samples")
    p.add_argument("--draws", type=int, default=10, help="posterior samples of the bound")
    p.add_argument("--iw-samples", type=int, default=64, help="of the importance-weighted bound")
    p.add_argument("--samples", type=int, default=500, help="generated, for their statistics")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p = command(reproduce, "reproduce")
    p.add_argument("--only", help="one experiment")
    p.add_argument("--model-dir", default="runs", help="where the runs go")
    p.add_argument("--quick", action="store_true", help="two epochs each, to see that it works")
    p.add_argument("--jobs", type=int, default=1, help="runs side by side")
    corpus = commands.add_parser("corpus", help="build or describe a corpus")
    corpus = corpus.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    p = command(corpus_build, "build", corpus)
    p.add_argument("name", choices=["jsb"], help="the corpus")
    p = command(corpus_fetch, "fetch", corpus)
    p.add_argument("name", choices=[*FILES, "all"], help="the corpus")
    p = command(corpus_info, "info", corpus)
    p.add_argument("name", help="a corpus, or the path of a folder or file of music, or a pickle")
    _add_reading(p)
    p.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _add_train(p):
    p.add_argument("name", help="of the run: a new folder in --model-dir")
    helps = {
        "model": "vae, cl-vae, vae-lstm or cl-vae-lstm",
        "corpus": f"{', '.join(CORPORA)}, or the path of a folder or file of music, or a pickle",
        "key_classes": "relative-major (a minor key goes by its relative major) or major-minor",
    }
    for name, default in CHOICES.items():
        flag = f"--{name.replace('_', '-')}"
        text = f"{helps[name]} (default: {default})"
        p.add_argument(flag, dest=name, action=_Given, default=argparse.SUPPRESS, help=text)
    _add_reading(p)
    p.add_argument("--model-dir", default="runs", help="where the runs are")
    p.add_argument("--overwrite", action="store_true", help="replace an existing run")
    p.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    p.add_argument("--log", action="store_true", help="write logs for TensorBoard (not installed)")
    p.add_argument(
        "--log-dir", default=argparse.SUPPRESS, help="write them to a folder in this one"
    )
    p.set_defaults(log_dir=None)
    from cvae.models import MODELS
    from cvae.runs import model_options
    from cvae.training import TrainingConfig

    settings = dataclasses.asdict(TrainingConfig())
    for kind in MODELS:
        settings = model_options(kind) | settings
    settings.pop("classes")
    meaning = {}
    for documented in (*MODELS.values(), TrainingConfig):
        meaning |= _parameters(documented)
    for name, default in settings.items():
        how = {"type": type(default), "metavar": type(default).__name__.upper()}
        if isinstance(default, bool):
            how = {"nargs": 0}
        if name == "seq_length":
            how = {"type": lambda text: int(text) if text.isdigit() else text, "metavar": "STEPS"}
        p.add_argument(
            f"--{name.replace('_', '-')}",
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
        flag = f"--{name.replace('_', '-')}"
        p.add_argument(flag, dest=name, action=_Given, default=argparse.SUPPRESS, **how)


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
            names = [name.strip() for name in line.partition(" : ")[0].split(",")]
    return meaning


def _add_sample(p):
    p.add_argument("name", help="a run, or the path of one; also names the files")
    p.add_argument("--run", help="the run, where NAME only names the files")
    p.add_argument("--model-dir", default="runs", help="where the runs are")
    p.add_argument("-n", type=int, default=1, help="number of samples")
    p.add_argument("-t", type=int, default=32, help="steps of each")
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
    p.add_argument("--split", default="test", help="take seeds from its train, valid or test")
    p.add_argument("--seed-key", help="take seeds that are in this key (original: -c)")
    p.add_argument("--seed-file", help="take the seed from a MIDI or MusicXML file")
    p.add_argument("--seed-steps", type=int, default=16, help="steps of the seed to read")
    p.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples")
    p.add_argument("--sample-dir", default="samples", help="where the files go")
    p.add_argument("--audio", default="mp3", choices=["mp3", "wav", "none"], help="beside MIDI")
    p.add_argument("--bpm", type=float, default=90, help="quarter notes a minute")
    p.add_argument("--overwrite", action="store_true", help="replace existing files")


if __name__ == "__main__":
    sys.exit(main())
