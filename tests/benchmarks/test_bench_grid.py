"""A whole grid by `harness run` against the same cells as plain scripts, one process each.

The grid is `suites/ci.yaml`: 12 cells of tiny-qwen2, three data sets, plain and in 4 bits. A script
(`plain_script.py`) does a cell as a notebook does, with the same rows, prompts, training arguments,
quantization and length of greedy answers; beside it stand scripts that do a fine-tuned cell and its
baseline in one go. Scripts run one after another, with one thread or torch's own number, whichever
is faster in the first script.

The harness runs twice: with its own evaluation settings, so that its noise floors, latencies,
likelihoods, intervals and reports are in its time, and with the measurements that a suite can
switch off switched off. Scripts and runs take turns, so that a machine's moods fall on both.
"""

import json
import re
import statistics
from pathlib import Path

import pytest
from measured_command import measured

from harness.results.paths import RunPaths
from harness.results.run import load_run

HERE = Path(__file__).parent
MIN_RATIO = 3
FLOORS = {"by default": 1.3, "same work": 2}
"""Ratios below which something has broken, also on a machine that does something else; the page
tells whether the bar is met."""
SAME_LOSS = 0.02
"""How far the mean training losses of the two sides may be apart: they round differently."""
SAME_ANSWERS = 0.9
EVALUATIONS = {"by default": "{}", "same work": "{noise_examples: 0, latency_prompts: 0}"}


def grid(root, folder, evaluation):
    """Writes the suite under ``evaluation``; gives its path."""
    text = (root / "suites" / "ci.yaml").read_text()
    text = re.sub(r"^evaluation: .*$", f"evaluation: {evaluation}", text, flags=re.M)
    folder.mkdir(exist_ok=True)
    (folder / "models").exists() or (folder / "models").symlink_to(root / "models")
    path = folder / "suite.yaml"
    path.write_text(text)
    return path


def harness(suite, out):
    return measured("-m", "harness.cli", "run", str(suite), "-o", str(out))


class Scripts:
    """The plain scripts of a suite and what they took."""

    def __init__(self, settings, parts):
        self.left = [(path, part) for path in settings for part in parts]
        self.done = {}
        self.threads = None
        self.tried = {}

    def some(self, count):
        """Run the next ``count`` scripts, one after another."""
        for path, part in [self.left.pop(0) for _ in range(count)]:
            if not self.tried:
                both = {n or "torch's own": self.script(path, part, n) for n in (1, None)}
                self.tried = {k: v["wall"] for k, v in both.items()}
                self.threads = 1 if both[1]["wall"] < both["torch's own"]["wall"] else None
                self.done[path.stem, part] = min(both.values(), key=lambda timing: timing["wall"])
            else:
                self.done[path.stem, part] = self.script(path, part, self.threads)

    def script(self, path, part, threads):
        timing = measured(str(HERE / "plain_script.py"), str(path), part, threads=threads)
        return {**timing, **json.loads(timing.pop("last"))}

    def total(self, kind):
        return sum(timing[kind] for timing in self.done.values())


def same_work(scripts, run):
    """Hold both sides' steps and mean training losses against each other.

    Gives the share of answers that are equal, to the letter.
    """
    equal = []
    for result in run.cells:
        tuned = result.adapter != "base"
        said = scripts.done[_stem(result), "tuned" if tuned else "baseline"]
        paths = RunPaths(run.directory).cell(result.key)
        side = said["answers"]["after" if tuned else "before"]
        equal += [
            a == b["prediction"] for a, b in zip(side, _records(paths.predictions), strict=True)
        ]
        if tuned:
            assert said["steps"] == result.facts["trained"]["steps"]
            loss = statistics.fmean(record["loss"] for record in _records(paths.train_log))
            assert said["training_loss"] == pytest.approx(loss, rel=SAME_LOSS)
    return statistics.fmean(equal)


def _records(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _stem(result):
    return f"{result.model}-{result.quantization}-{result.dataset}"


@pytest.mark.timeout(3600)
def test_a_grid_is_faster_than_plain_scripts(root, tmp_path, benchmark, figure):
    from plain_settings import write_settings

    suites = {name: grid(root, tmp_path / name, text) for name, text in EVALUATIONS.items()}
    settings = write_settings(suites["by default"], tmp_path)
    scripts, pairs = Scripts(settings, ["baseline", "tuned"]), Scripts(settings, ["both"])
    runs = {}

    def alternate():
        for name, suite in suites.items():
            scripts.some(len(settings))
            runs[name] = harness(suite, tmp_path / name / "run")
            pairs.some(len(settings) // 2)

    benchmark.pedantic(alternate, rounds=1)
    equal = same_work(scripts, load_run(tmp_path / "by default" / "run"))
    ratios = {name: scripts.total("wall") / timing["wall"] for name, timing in runs.items()}
    spread = {name: scripts.total("cpu") / timing["cpu"] for name, timing in runs.items()}
    paired = {name: pairs.total("wall") / timing["wall"] for name, timing in runs.items()}
    figure(
        "12 cells by `harness run` against plain scripts, wall clock",
        f"≥ {MIN_RATIO} times",
        f"{ratios['by default']:.2f} times",
        ratios["by default"] >= MIN_RATIO,
        more={
            "with the scripts' work alone": f"{ratios['same work']:.2f} times",
            "against a script for each pair": f"{paired['by default']:.2f} times",
            "against a script for each pair, its work alone": f"{paired['same work']:.2f} times",
            "processor time": f"{spread['by default']:.2f} times",
            "processor time, with the scripts' work alone": f"{spread['same work']:.2f} times",
            "answers that are equal to the letter": f"{equal:.1%}",
            "threads of a script": scripts.threads or "torch's own",
        },
        seconds={
            "scripts": scripts.total("wall"),
            "a script for each pair": pairs.total("wall"),
            "run": runs["by default"]["wall"],
            "run with the scripts' work alone": runs["same work"]["wall"],
            "scripts, processor": scripts.total("cpu"),
            "run, processor": runs["by default"]["cpu"],
            "run with the scripts' work alone, processor": runs["same work"]["cpu"],
            **{f"first script, threads: {k}": v for k, v in scripts.tried.items()},
            **{
                f"script {stem}, {part}": timing["wall"]
                for (stem, part), timing in scripts.done.items()
            },
        },
    )
    assert equal >= SAME_ANSWERS
    assert all(ratios[name] >= floor for name, floor in FLOORS.items()), ratios
