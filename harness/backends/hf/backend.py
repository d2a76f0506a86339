"""Load, fine-tune, predict and measure one cell with the Hugging Face stack."""

from __future__ import annotations

# first: it imports bitsandbytes, which the libraries below would import in its slow way
from harness.backends.hf import lazy_compile  # noqa: F401  # isort: skip

from collections.abc import Iterator, Sequence
from dataclasses import replace

from transformers import PreTrainedModel

from harness import __version__
from harness.backends.base import (
    AcceptRows,
    Answers,
    Asking,
    BackendResult,
    Device,
    EndingScores,
    Piece,
    TaskRun,
    TellStep,
    Training,
    without_missing,
)
from harness.backends.hf.counters.energy import energy
from harness.backends.hf.counters.memory import free, memory_peak, peaks_on, weights_mib
from harness.backends.hf.models.loading import census
from harness.backends.hf.models.placing import lies_on
from harness.backends.hf.tasks.control import ending_scores
from harness.backends.hf.tasks.kind import TaskKind
from harness.backends.hf.tasks.label_answers import LabelAnswers
from harness.backends.hf.tasks.label_head import LabelHead
from harness.backends.hf.tasks.lm_eval_run import run_task
from harness.backends.hf.tasks.pretrained import PretrainedTask
from harness.backends.hf.tasks.random_weights import RandomWeights
from harness.backends.hf.tasks.text import TextTask
from harness.backends.hf.training.checkpoints import Checkpoints
from harness.backends.hf.training.spread import Spread
from harness.datasets.control import ControlItem
from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.plan.cell import Cell
from harness.plan.devices import devices_of
from harness.plan.stages import Surroundings, stage_keys
from harness.results.paths import CellPaths, read_json


class HFBackend:
    """One cell on transformers, PEFT and TRL; it owns the tokenizer and the loaded model."""

    def __init__(self, cell: Cell, paths: CellPaths, device: Device) -> None:
        self._cell = cell
        self._paths = paths
        self._device = device
        self._kind = kind_of(cell)
        self._model: PreTrainedModel | None = None
        self._tell: TellStep | None = None

    @property
    def model(self) -> PreTrainedModel:
        """What `load` loaded."""
        assert self._model is not None, "load comes first"
        return self._model

    def report_steps(self, tell: TellStep) -> None:
        """Call ``tell`` with each record of the training's log when it is there."""
        self._tell = tell

    def fine_tune(self, train: Sequence[Example], accept: AcceptRows) -> Training:
        """Train the adapter on a fresh base and save it."""
        kind = self._kind
        if devices_of(self._cell) > 1:
            return self._fine_tune_on_several(train, accept)
        model = kind.trainable()
        rows = kind.rows(train, self._paths.rows)
        accept(rows.audit)
        facts = census(model)
        checkpoints = self._checkpoints(train)
        with memory_peak("train_peak") as peak, energy() as used:
            # the cell's own folder: one for temporary files would outlive a worker that is killed
            scratch = self._paths.checkpoints
            trained = kind.train(model, rows, scratch, checkpoints, tell=self._tell)
            split = _split(model)  # at the end of a phase its peaks are gone
        seconds = trained.seconds - self._device.paused_seconds(trained.started)
        # of an interrupted training nobody counted the energy of the sittings before
        resumed = checkpoints is not None and checkpoints.found is not None
        # nor of any device but the first where the model lies on several
        known = not resumed and not lies_on(model)
        numbers = without_missing({"train_energy_j": used.joules if known else None})
        numbers |= {**peak.values, **kind.cost(model, facts, trained, seconds)}
        numbers |= kind.save(model, self._paths.adapter)
        del model
        free()  # the base is loaded anew for what is served
        facts |= {"steps": trained.steps, "training": {**trained.how, **split}}
        if checkpoints:
            facts["training"] = {**trained.how, **split, **checkpoints.describe()}
            facts["notes"] = checkpoints.notes
        return Training(numbers, {"trained": facts}, rows.audit, trained.log, seconds, trained.step)

    def _fine_tune_on_several(self, train: Sequence[Example], accept: AcceptRows) -> Training:
        """The same over several devices, by processes of their own: see `spread`."""
        rows = self._kind.rows(train, self._paths.rows)
        accept(rows.audit)
        spread = Spread(self._cell, self._paths, rows, self._device.paused_seconds, self._tell)
        return spread.run()

    def _checkpoints(self, train: Sequence[Example]) -> Checkpoints | None:
        """Where the training of ``train`` keeps its state; None unless the suite sets that."""
        cell, options = self._cell, self._cell.training
        if options.get("save_strategy", "no") == "no":
            return None
        job = read_json(self._paths.cell)
        around = Surroundings(job["content"], job["hardware"])
        return Checkpoints(
            self._paths.checkpoints,
            f"{__version__} {stage_keys(cell, around, train, ()).train}",
            self._device.paused_seconds,
            options.get("save_total_limit") or 1,
        )

    def load(self, probe: Example) -> BackendResult:
        """Load a fresh base, with the saved adapter: what is scored is what ships."""
        with memory_peak("load") as peak:
            self._model = self._kind.served(self._paths.adapter)
            split = _split(self.model)
        loaded = {**census(self.model), **split}
        facts = {"loaded": loaded, **self._kind.proof(self.model, probe)}
        weights = weights_mib(self.model.requires_grad_(False))
        return BackendResult({**peak.values, "weights_mib": weights}, facts)

    def predict(self, test: Sequence[Example], asking: Asking) -> Answers:
        """What the loaded model answers, and the memory peak of it."""
        with memory_peak("infer_peak") as peak:
            records = self._kind.predict(self.model, test, asking)
        return Answers(peak.values, self._kind.describe(self.model, test), records)

    def stream(self, example: Example, asking: Asking) -> Iterator[Piece]:
        """The answer to ``example``, growing token by token; a label comes in one piece."""
        if isinstance(self._kind, TextTask):
            yield from self._kind.stream(self.model, example, asking)
            return
        (record,) = self._kind.predict(self.model, [example], asking)
        yield Piece(record["prediction"], record.get("new_tokens") or 0, "stop")

    def score_endings(self, items: Sequence[ControlItem]) -> EndingScores:
        """How likely the loaded model finds each item's two endings."""
        kind = self._kind
        if not isinstance(kind, PretrainedTask) or kind.labels:
            raise HarnessError("a model without a language head cannot score a control set")
        size = kind.cell.evaluation.batch_size
        return ending_scores(self.model, kind.tokenizer, items, batch_size=size)

    def run_task(self) -> TaskRun:
        """The cell's task of lm-evaluation-harness, asked and scored by it on the loaded model."""
        kind = self._kind
        assert isinstance(kind, TextTask), "`lm_eval` is a task of texts"
        with memory_peak("infer_peak") as peak:
            found = run_task(self.model, kind.cell)
        return replace(found, numbers=peak.values)

    def measure(self, test: Sequence[Example]) -> BackendResult:
        """Latency, throughput and memory of the loaded model."""
        found = self._kind.measure(self.model, test)
        if lies_on(self.model):  # the counter is one device's
            found.numbers.pop("energy_j_per_1k_tokens", None)
        return found


def _split(model: PreTrainedModel) -> dict[str, object]:
    """Over how many GPUs ``model`` lies, and the peak of each; nothing where it lies on one."""
    found = lies_on(model)
    return {"split_over": len(found), "peaks_mib": peaks_on(found)} if found else {}


def open_backend(cell: Cell, paths: CellPaths, device: Device) -> HFBackend:
    """The backend of ``cell``."""
    return HFBackend(cell, paths, device)


def kind_of(cell: Cell) -> TaskKind:
    """How ``cell`` trains and is asked: text, labels by a head or as answers, random weights."""
    if cell.model.weights == "random":
        return RandomWeights(cell)
    if cell.task.task != "classification":
        return TextTask(cell)
    return LabelHead(cell) if cell.task.answered_by == "head" else LabelAnswers(cell)
