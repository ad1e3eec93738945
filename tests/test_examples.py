"""Cutting songs against slices of their rolls; batches by what they hold."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvae.examples import (
    Batch,
    chunks,
    examples,
    frames,
    gather,
    lanes,
    padded_length,
    shortened,
    shuffled_batches,
)
from cvae.music.corpora import Corpus, Song
from cvae.music.pianoroll import windows

KEYS = ("C major", "E major", "A- major")
LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=6)


def corpus_of(lengths):
    """Songs of these lengths, no two steps alike."""
    rng = np.random.default_rng(0)
    rolls = [rng.random((steps, 88)) < 0.3 for steps in lengths]
    songs = [Song(roll, KEYS[i * i % 3], f"song {i}", "test") for i, roll in enumerate(rolls)]
    return Corpus("random", KEYS, tuple(songs), (), ())


def gathered(data, index, longest=None, sequential=True):
    longest = int(data.length.max()) if longest is None else longest
    batch = gather(data, np.array(index, np.int32), longest, sequential)
    return Batch(*(None if part is None else part.numpy() for part in batch))


def check_cut(corpus, data, starts):
    """Each example is a slice of its song, with the step before; what follows it is silence."""
    expected = [(i, first) for i, of_song in enumerate(starts) for first in of_song]
    assert data.song.tolist() == [i for i, _ in expected]
    longest = int(data.length.max()) + 3
    batch = gathered(data, range(len(expected)), longest)
    assert batch.x.dtype == batch.x_prev.dtype == bool
    assert batch.mask.dtype == np.float32 and batch.key.dtype == np.int32
    for row, (i, first) in enumerate(expected):
        song, steps = corpus.train[i], data.length[row]
        assert KEYS[batch.key[row]] == KEYS[data.key[row]] == song.key
        padded = np.concatenate([np.zeros((1, 88), bool), song.roll])
        rest = ((0, longest - steps), (0, 0))
        np.testing.assert_array_equal(batch.x[row], np.pad(song.roll[first:][:steps], rest))
        np.testing.assert_array_equal(batch.x_prev[row], np.pad(padded[first:][:steps], rest))
        np.testing.assert_array_equal(batch.mask[row], np.arange(longest) < steps)


# Cutting


def test_frames_are_the_windows_of_one_step(tiny_corpus):
    data, cut = frames(tiny_corpus, "test"), windows(tiny_corpus.test, tiny_corpus.keys)
    np.testing.assert_array_equal(data.x, cut.x[:, 0])
    np.testing.assert_array_equal(data.x_prev, cut.x_prev[:, 0])
    np.testing.assert_array_equal(data.key, cut.key)
    assert len(data.x) == sum(len(song.roll) for song in tiny_corpus.test) and data.mask is None


def test_examples_of_one_step_are_frames(tiny_corpus):
    data = examples(tiny_corpus, "train")
    batch = gathered(data, range(len(data.start)), sequential=False)
    for got, expected in zip(batch[:3], frames(tiny_corpus, "train")[:3], strict=True):
        np.testing.assert_array_equal(got, expected)
    assert batch.mask is None


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("length", [1, 4, 6])
def test_full_examples_are_windows(length, stride, tiny_corpus):
    data = examples(tiny_corpus, "train", length, stride)
    cut = windows(tiny_corpus.train, tiny_corpus.keys, length, stride)
    full = np.flatnonzero(data.length == length)
    batch = gathered(data, full, length)
    for name in ("x", "x_prev", "key"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(cut, name))
    np.testing.assert_array_equal(data.song[full], cut.song)
    assert np.all(batch.mask == 1)


@settings(max_examples=40, deadline=None)
@given(LENGTHS)
def test_whole_songs(lengths):
    corpus = corpus_of(lengths)
    data = examples(corpus, "train", "song")
    assert data.length.tolist() == lengths
    check_cut(corpus, data, [[0]] * len(lengths))


@settings(max_examples=40, deadline=None)
@given(LENGTHS, st.integers(1, 13))
def test_windows_at_every_step(lengths, length):
    corpus = corpus_of(lengths)
    data = examples(corpus, "train", length)
    starts = [range(max(1, steps - length + 1)) for steps in lengths]
    check_cut(corpus, data, starts)
    short = [steps for steps in lengths if steps < length]
    assert sorted(data.length[data.length < length]) == sorted(short)  # those are whole


@settings(max_examples=40, deadline=None)
@given(LENGTHS, st.integers(1, 13))
def test_windows_side_by_side_hold_each_step_once(lengths, length):
    corpus = corpus_of(lengths)
    data = examples(corpus, "train", length, stride=length)
    check_cut(corpus, data, [range(0, steps, length) for steps in lengths])
    assert data.length.sum() == sum(lengths)
    assert np.all(data.length[np.append(np.diff(data.song) == 0, False)] == length)


@settings(max_examples=40, deadline=None)
@given(LENGTHS, st.integers(1, 6), st.integers(1, 8))
def test_any_stride(lengths, length, stride):
    """No example is empty, and no step of a song is left out if the windows touch."""
    corpus = corpus_of(lengths)
    data = examples(corpus, "train", length, stride)
    assert np.all((data.length >= 1) & (data.length <= length))
    first_rows = 1 + np.cumsum([0, *(steps + 1 for steps in lengths[:-1])])
    starts = [data.start[data.song == i] - row for i, row in enumerate(first_rows)]
    check_cut(corpus, data, starts)
    for of_song, steps in zip(starts, lengths, strict=True):
        assert of_song.tolist() == list(range(0, stride * len(of_song), stride))
        assert of_song[-1] + max(length, stride) >= steps


@settings(max_examples=40, deadline=None)
@given(LENGTHS, st.integers(1, 13))
def test_examples_to_the_end_start_at_every_step(lengths, length):
    corpus = corpus_of(lengths)
    data = examples(corpus, "train", length, to_the_end=True)
    check_cut(corpus, data, [range(steps) for steps in lengths])
    rest = np.concatenate([np.arange(steps, 0, -1) for steps in lengths])
    np.testing.assert_array_equal(data.length, np.minimum(rest, length))


def test_shortened_examples_have_the_square_roots_distribution():
    corpus = corpus_of([64])
    data = examples(corpus, "train", "song")
    rng = np.random.default_rng(0)
    kept = np.array([shortened(data, rng).length[0] for _ in range(4000)])
    assert kept.min() == 1 and kept.max() == 64
    for steps in (1, 4, 16, 36):
        assert np.mean(kept <= steps) == pytest.approx((steps / 64) ** 0.5, abs=0.03)
    other = shortened(data, rng)
    assert all(a is b for a, b in zip(other, data, strict=True) if a is not other.length)


def test_a_split_lies_in_memory_once(tiny_corpus):
    few, many = examples(tiny_corpus, "train", "song"), examples(tiny_corpus, "train", 5)
    assert few.steps.dtype == bool and few.steps.shape == many.steps.shape
    songs = tiny_corpus.train
    assert len(few.steps) == sum(1 + len(song.roll) for song in songs)


@pytest.mark.parametrize("cut", [frames, examples])
@pytest.mark.parametrize("split", ["valid", "dev", ""])
def test_an_empty_or_unknown_split_is_named(cut, split):
    with pytest.raises(ValueError, match=rf"\Asplit: [^\n]*{split}[^\n]*\Z"):
        cut(corpus_of([3]), split)


# Batches

MANY = st.lists(st.integers(1, 200), min_size=1, max_size=60)


@given(MANY)
def test_padded_lengths_are_few_and_not_far_off(lengths):
    padded = padded_length(lengths)
    assert np.all((lengths <= padded) & (padded < np.maximum(17, 2 * np.array(lengths))))
    assert np.all((padded == max(lengths)) | (np.log2(padded) % 1 == 0))
    assert max(padded) == max(lengths)


@given(MANY, st.integers(1, 500))
def test_chunks_hold_every_example_once_and_have_few_shapes(lengths, steps):
    parts, padded = chunks(lengths, steps), padded_length(lengths)
    held = np.concatenate([index[:count] for index, count, _ in parts])
    assert sorted(held) == list(range(len(lengths)))
    sizes = {}
    for index, count, longest in parts:
        assert index.dtype == np.int32 and isinstance(longest, int) and count >= 1
        assert np.all(padded[index] == longest)
        assert np.all(index[count:] == index[count - 1])
        assert len(index) * longest <= steps or len(index) == 1
        sizes.setdefault(longest, []).append((len(index), count))
    for longest, of_length in sizes.items():
        assert len({size for size, _ in of_length}) == 1
        rows = sum(size for size, _ in of_length)
        assert rows < np.sum(padded == longest) + of_length[0][0]  # not more than it needs
        if len(of_length) == 1:
            assert of_length[0][0] == of_length[0][1]


@given(MANY, st.integers(1, 20), st.integers(0, 5))
def test_shuffled_batches_hold_each_example_at_most_once(lengths, size, seed):
    size = min(size, len(lengths))
    groups = shuffled_batches(lengths, size, np.random.default_rng(seed))
    rows = [(row, longest) for order, longest in groups for row in order]
    assert all(order.dtype == np.int32 and order.shape[1] == size for order, _ in groups)
    assert len(rows) == len(lengths) // size
    numbers = np.concatenate([row for row, _ in rows])
    assert len(set(numbers)) == len(numbers) and set(numbers) <= set(range(len(lengths)))
    padded, spans = padded_length(lengths), []
    for row, longest in rows:
        assert longest == padded[row].max()
        spans.append((padded[row].min(), longest))
    spans.sort()
    for (_, longest), (shortest, _) in zip(spans, spans[1:], strict=False):
        assert longest <= shortest  # like lengths are together
    if len(set(padded)) == 1:
        assert len(groups) == 1  # one compiled program runs all of them


@pytest.mark.parametrize("lengths", [[5] * 23, [2, 5, 9] * 7 + [5, 9]])
def test_another_remainder_is_left_out_each_time_and_the_order_is_random(lengths):
    rng = np.random.default_rng(0)
    epochs = [
        np.concatenate([order.ravel() for order, _ in shuffled_batches(lengths, 5, rng)])
        for _ in range(100)
    ]
    left_out = np.array([np.setdiff1d(np.arange(23), epoch) for epoch in epochs])
    assert left_out.shape == (100, 3)
    counts = np.bincount(left_out.ravel(), minlength=23)
    assert counts.min() > 2 and counts.max() < 30  # 13 of each, in the mean
    first_lengths = np.array([np.array(lengths)[epoch[0]] for epoch in epochs])
    assert len(set(first_lengths)) == len(set(lengths))  # the short ones do not always come first
    again = shuffled_batches(lengths, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(np.concatenate([order.ravel() for order, _ in again]), epochs[0])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 10), st.integers(0, 5))
def test_each_lane_goes_through_its_songs_in_order(windows_of_song, size, seed):
    size = min(size, len(windows_of_song))
    song = np.repeat(np.arange(len(windows_of_song)), windows_of_song)
    order, first = lanes(song, size, np.random.default_rng(seed))
    assert order.dtype == np.int32 and first.dtype == bool
    assert order.shape == first.shape and order.shape[1] == size
    assert len(set(order.ravel())) == order.size
    begins = np.diff(song, prepend=-1) != 0
    np.testing.assert_array_equal(first, begins[order])
    assert np.all(first[0])
    for lane, starts in zip(order.T, first.T, strict=True):
        ends = np.append(begins[1:], True)[lane[:-1]]
        np.testing.assert_array_equal(starts[1:], ends)  # a song begins when the last is over
        goes_on = ~starts[1:]
        np.testing.assert_array_equal(np.diff(lane)[goes_on], np.ones(goes_on.sum()))
    # Lanes differ by one song at most, so no more than that is left out of each.
    assert len(song) - order.size <= size * max(windows_of_song)


def test_lanes_leave_little_out():
    """Songs as unequal as chorales: what is left where the first lane ends is small."""
    lengths = np.random.default_rng(1).integers(2, 14, 200)
    song = np.repeat(np.arange(200), lengths)
    order, _ = lanes(song, 64, np.random.default_rng(0))
    assert order.size > 0.9 * len(song)


def test_lanes_are_shuffled_by_song():
    song = np.repeat(np.arange(9), 4)
    rng = np.random.default_rng(0)
    first, second = (lanes(song, 3, rng)[0] for _ in range(2))
    assert first.shape == second.shape == (12, 3)
    assert not np.array_equal(first, second)
    again, _ = lanes(song, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(first, again)


def test_a_song_of_no_class_is_named(tiny_corpus):
    renamed = replace(tiny_corpus, keys=("Bach", "Ravel", "Grieg"))
    with pytest.raises(ValueError, match="corpus: 'C major', the key of 'song 0', is none of its"):
        examples(renamed, "train")
