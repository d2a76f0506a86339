"""TensorBoard: an event file for each cell under ``RUN/trackers/tensorboard/<cell>``.

Written by TensorBoard's own package, without torch and TensorFlow. Names of scalars are those that
transformers' callback writes: `train/loss`, `eval/loss`.
"""

from __future__ import annotations

import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.hparams.api_pb2 import Status
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)
from tensorboard.plugins.text.metadata import PLUGIN_NAME as TEXT
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from harness.trackers.markdown import markdown_table
from harness.trackers.messages import Ending, Handle, Scalar, TrackedRun
from harness.trackers.scalars import result_numbers, step_numbers


def open_run(run: TrackedRun) -> TensorBoardRun:
    """An event file for ``run``."""
    return TensorBoardRun(run)


class TensorBoardRun:
    """One run's event file."""

    def __init__(self, run: TrackedRun) -> None:
        place = Path(run.folder) / "tensorboard" / run.name
        place.mkdir(parents=True, exist_ok=True)
        for old in place.glob("events.out.tfevents.*"):
            old.unlink()  # of an earlier attempt: TensorBoard would draw both as one curve
        self._place = place
        self._writer = EventFileWriter(str(place))
        if run.config and not run.is_summary:
            self._hparams(run)

    def log(self, step: int, numbers: dict[str, float]) -> None:
        """Add scalars."""
        self._scalars(step_numbers(numbers), step)
        self._writer.flush()

    def end(self, ending: Ending) -> Handle:
        """Add results, texts and tables, and close the file."""
        self._scalars(result_numbers(ending.metrics), ending.step)
        texts = dict(ending.texts)
        texts |= {name: markdown_table(table) for name, table in ending.tables.items()}
        for title, text in texts.items():
            self._text(title, text)
        status = Status.STATUS_SUCCESS if ending.ok else Status.STATUS_FAILURE
        content = HParamsPluginData(session_end_info=SessionEndInfo(status=status))
        self._plugin(hparams.SESSION_END_INFO_TAG, content)
        self._writer.close()
        return {"folder": str(self._place)}

    def _scalars(self, numbers: dict[str, float], step: int) -> None:
        if numbers:
            values = [Summary.Value(tag=tag, simple_value=n) for tag, n in numbers.items()]
            self._write(Summary(value=values), step)

    def _text(self, title: str, text: str) -> None:
        data = SummaryMetadata.PluginData(plugin_name=TEXT)
        tensor = TensorProto(
            dtype=DT_STRING,
            string_val=[text.encode()],
            tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
        )
        metadata = SummaryMetadata(plugin_data=data)
        value = Summary.Value(tag=f"{title}/text_summary", metadata=metadata, tensor=tensor)
        self._write(Summary(value=[value]), 0)

    def _hparams(self, run: TrackedRun) -> None:
        info = SessionStartInfo(group_name=run.name, start_time_secs=time.time())
        for name, setting in run.config.items():
            _set(info, name, setting)
        self._plugin(hparams.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=info))

    def _plugin(self, tag: str, content: HParamsPluginData) -> None:
        content.version = hparams.PLUGIN_DATA_VERSION
        data = SummaryMetadata.PluginData(
            plugin_name=hparams.PLUGIN_NAME, content=content.SerializeToString()
        )
        value = Summary.Value(
            tag=tag, metadata=SummaryMetadata(plugin_data=data), tensor=hparams.NULL_TENSOR
        )
        self._write(Summary(value=[value]), 0)

    def _write(self, summary: Summary, step: int) -> None:
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))


def _set(info: SessionStartInfo, name: str, setting: Scalar) -> None:
    """Put a setting into a protobuf value of its kind."""
    value = info.hparams[name]
    if isinstance(setting, bool):
        value.bool_value = setting
    elif isinstance(setting, int | float):
        value.number_value = setting
    else:
        value.string_value = str(setting)
