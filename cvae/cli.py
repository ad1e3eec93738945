"""The command `cvae`: train, sample and evaluate models, build and describe corpora.

A user's mistake ends in one line on standard error and exit status 2; nothing is written then.
TensorFlow is imported only by the commands that need it.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path

import numpy as np

from cvae.arguments import CHOICES, READING, flag, parse
from cvae.music import corpus_statistics, load_corpus, parse_key
from cvae.music.corpora import FILES, SPLITS
from cvae.music.files import read_song
from cvae.quiet import import_tensorflow

__all__ = ["main"]

MAX_STEPS = 1_000_000  # of all files that a command writes


def main(arguments=None):
    """Run the command; returns the exit status (0, 1 if training diverged, 2 for bad input)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = {}
    try:
        parsed = parse(arguments, globals(), __doc__.splitlines()[0])
        options = vars(parsed) | vars(parsed).get("options", {})
        _check_not_empty(options)
        if parsed.command in (sample, key, evaluate, reproduce):
            import_tensorflow()
        return parsed.command(parsed) or 0
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, MemoryError) as error:
        print(f"cvae: error: {_message(error, options)}", file=sys.stderr)
        return 2
    except FloatingPointError as error:  # training diverged
        print(f"cvae: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cvae: interrupted", file=sys.stderr)
        return 130


def _message(error, options):
    """What was wrong, in one line; an argument goes by its name on the command line."""
    if isinstance(error, OSError) and error.filename:
        what = f"{error.filename}: {error.strerror}"
    else:
        what = str(error) or "not enough memory"
        name, colon, rest = what.partition(": ")
        if options.get(name) is not None:
            what = flag(name) + colon + rest
    return what.replace("\n", " ")


def _check_not_empty(options):
    """Raise ValueError for an empty value, as an unset shell variable gives."""
    for name, value in options.items():
        if value == "":
            raise ValueError(f"{flag(name)}: got an empty value")


def train(args):
    """`cvae train`: a new run, or --resume."""
    from cvae.replicas import strategy

    with strategy(args.distribute).scope() as chosen:
        _train(args, writes=chosen.extended.should_checkpoint)


def _train(args, writes):
    """Of several workers one writes the run."""
    from cvae.runs import Run, load_settings, locked
    from cvae.training import Trainer, TrainingConfig

    folder = Path(args.model_dir) / args.name
    if Path(args.model_dir).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"NAME: got {args.name!r}, must name a folder within {args.model_dir}")
    given = vars(args).get("options", {})
    of_training = {field.name for field in dataclasses.fields(TrainingConfig)}
    training_options = {name: given[name] for name in given if name in of_training}
    model_options = {name: given[name] for name in given if name not in of_training}
    chosen = {name: model_options.pop(name, default) for name, default in CHOICES.items()}
    reading = {name: model_options.pop(name) for name in READING if name in model_options}
    if training_options.get("optimizer") == "adam-wn":
        raise ValueError(
            "--optimizer: adam-wn, the original's weight-normalised Adam, was dropped; adam is its "
            "plain form (data/results/weight-norm.json has the difference)"
        )
    if args.resume:
        also = set(given) - {"epochs"} | ({"overwrite"} if args.overwrite else set())
        if also:
            also = ", ".join(map(flag, sorted(also)))
            raise ValueError(f"--resume: takes all but --epochs from {folder}; got also {also}")
        settings = load_settings(folder)
        try:
            config = TrainingConfig(**(settings["training"] | training_options))
        except TypeError as error:
            raise ValueError(f"{folder}: settings.json, training: {error}") from None
        run = Run.untrained(folder)
        corpus = run.corpus()
        run.check_unchanged(corpus)
    else:
        config = TrainingConfig(**training_options)
        corpus = load_corpus(chosen["corpus"], chosen["key_classes"], **reading)
        options = {"seed": config.seed} | model_options
        training = dataclasses.asdict(config)
        overwrite = args.overwrite or not writes
        run = Run.plan(folder, chosen["model"], corpus, training, overwrite, **options)
    _report_skipped(corpus)
    trainer = Trainer(run.model, corpus, config, folder)
    if writes and (args.log or args.log_dir):
        trainer.log_to(Path(args.log_dir) / args.name if args.log_dir else folder / "logs")
    if args.resume:
        trainer.load_state()
        run.settings["training"] = dataclasses.asdict(config)
        if writes:
            with locked(folder):
                run.write_settings()
    elif writes:
        run.start()
    history = trainer.run(progress=None if writes else False)
    if not writes:
        return
    bounds, best = history["valid_bound"], trainer.best_epoch
    best = len(bounds) - 1 if best is None else best
    which = f"epoch {best + 1} of {len(bounds)}"
    print(f"{folder}: {which}, validation bound {bounds[best]:.3f} nats a step")


def sample(args):
    """`cvae sample`: MIDI and audio files."""
    from cvae.models.checks import check_seed, check_sizes
    from cvae.runs import load_run

    run = load_run(args.run or args.name, args.model_dir)
    check_sizes(n=args.n, t=args.t, seed_steps=args.seed_steps)
    check_seed(args.seed)
    files = _files(Path(args.name).resolve().name, args)
    if args.then_key and not args.key:
        raise ValueError(f"--then-key: got {args.then_key!r}, needs --key for the first half")
    key = run.key_index(args.key, "--key") if args.key else None
    if args.then_key:
        halves = np.arange(args.t) < (args.t + 1) // 2
        by_step = np.where(halves, key, run.key_index(args.then_key, "--then-key"))
        key = np.broadcast_to(by_step, (args.n, args.t))
    if args.seed_file:
        if args.seed_key:
            raise ValueError("--seed-key: chooses songs of a corpus, got also --seed-file")
        seeds = [read_song(Path(args.seed_file), run.reading).roll]
    else:
        seeds = [song.roll for song in _songs(run.corpus(args.corpus), args)]
    if min(map(len, seeds)) < args.seed_steps:
        raise ValueError(
            f"--seed-steps: got {args.seed_steps}, a seed has {min(map(len, seeds))} steps"
        )
    seed_roll = np.stack([roll[: args.seed_steps] for roll in seeds])
    seed_roll = np.broadcast_to(seed_roll, (args.n, *seed_roll.shape[1:]))
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
    _write(rolls, files, args.bpm, run.reading.step)


def corpus_excerpt(args):
    """`cvae corpus excerpt`: MIDI and audio files of the music itself."""
    for option, least in {"-n": 1, "-t": 1, "--skip": 0, "--seed": 0}.items():
        value = getattr(args, option.strip("-"))
        if value < least:
            raise ValueError(f"{option}: got {value}, must be at least {least}")
    corpus = load_corpus(args.name, **getattr(args, "options", {}))
    files = _files(Path(args.name).resolve().stem, args)
    songs = _songs(corpus, args)
    shortest = min(len(song.roll) for song in songs)
    if shortest < args.skip + args.t:
        raise ValueError(f"-t: got {args.t} after {args.skip}, a song has {shortest} steps")
    _report_skipped(corpus)
    rolls = [song.roll[args.skip : args.skip + args.t] for song in songs]
    _write(rolls, files, args.bpm, corpus.step)


def _songs(corpus, args):
    """Songs of a split, drawn by the seed."""
    songs = corpus.split(args.split)
    if args.seed_key:
        asked = parse_key(args.seed_key, "--seed-key")
        wanted = asked.name if asked.name in corpus.keys else asked.relative_major.name
        songs = [song for song in songs if song.key == wanted]
        if not songs:
            raise ValueError(f"--seed-key: no song of the split {args.split} is in {args.seed_key}")
    chosen = np.random.default_rng(args.seed).integers(len(songs), size=args.n)
    return [songs[i] for i in chosen]


def _files(name, args):
    """Paths of each sample, MIDI first; ValueError if too many, or if one is there already."""
    from cvae.music.midi import FASTEST, SLOWEST

    if not SLOWEST <= args.bpm <= FASTEST:
        raise ValueError(f"--bpm: got {args.bpm}, must be from {SLOWEST} to {FASTEST}")
    if args.n * args.t > MAX_STEPS:
        raise ValueError(
            f"-n, -t: got {args.n} times {args.t} steps, must be at most {MAX_STEPS} in all"
        )
    suffixes = ("mid",) if args.audio == "none" else ("mid", args.audio)
    names = [Path(args.sample_dir) / f"{name}_{i}" for i in range(args.n)]
    files = [[Path(f"{path}.{suffix}") for suffix in suffixes] for path in names]
    there = [path for paths in files for path in paths if path.exists()]
    if there and not args.overwrite:
        raise ValueError(f"{there[0]}: exists; choose --overwrite or another --sample-dir")
    return files


def _write(rolls, files, bpm, step):
    """Write samples as MIDI and sound, and print the paths of the former."""
    from cvae.music.audio import render
    from cvae.music.audio import write as write_audio
    from cvae.music.midi import write_midi

    for (midi, *sound), roll in zip(files, rolls, strict=True):
        try:
            midi.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"--sample-dir: got {str(midi.parent)!r}, must be a folder that can be made: "
                f"{error.strerror}"
            ) from None
        write_midi(roll, midi, bpm=bpm, step=step)
        for path in sound:
            write_audio(path, render(roll, bpm=bpm, step=step))
        print(midi)


def key(args):
    """`cvae key`: the key of a file, how probable it is, and how it changes."""
    from cvae.keyfinder import find_key

    found = find_key(args.file, args.model, args.model_dir)
    bars = list(enumerate(found.bars, 1)) if args.over_time else []
    if args.json:
        result = {"key": found.key, "probability": found.probability}
        result["runners_up"] = [{"key": k, "probability": p} for k, p in found.runners_up]
        result |= {"w": found.w, "w_interval": found.w_interval}
        if args.over_time:
            result["bars"] = [{"bar": i, "key": k, "probability": p} for i, (k, p) in bars]
        print(json.dumps(result, indent=2))
        return
    low, high = found.w_interval
    print(f"{found.key} {found.probability:.2f}")
    print("then", ", ".join(f"{k} {p:.2f}" for k, p in found.runners_up))
    print(f"its weight w: mean {found.w:.2f}, 90 % interval {low:.2f} to {high:.2f}")
    for i, (name, probability) in bars:
        print(f"bar {i:4}  {name:8}  {probability:.2f}")


def evaluate(args):
    """`cvae evaluate`: all scores of a run."""
    from cvae.evaluation import evaluate as scores
    from cvae.runs import load_run

    run = load_run(args.name, args.model_dir)
    corpus = run.corpus(args.corpus)
    _report_skipped(corpus)
    result = {"model": run.settings["model"]}
    sizes = (args.draws, args.iw_samples, args.samples)
    result |= scores(run.model, corpus, args.split, args.seed, *sizes, args.mixture)
    _print(result, args.json)


def reproduce(args):
    """`cvae reproduce`: every figure that the book quotes."""
    from cvae.reproduce import reproduce as run_experiments

    for path in run_experiments(args.only, args.model_dir, args.quick, args.jobs):
        print(path)


def corpus_build(args):
    """`cvae corpus build`: a derived table, from music21."""
    from cvae.music.jsb import build_jsb
    from cvae.music.local_keys import build_local_keys

    print(build_jsb() if args.name == "jsb" else build_local_keys())


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


if __name__ == "__main__":
    sys.exit(main())
