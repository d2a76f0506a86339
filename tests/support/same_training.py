"""Two trainers over the same rows: the settings of a few steps, and that both gave the same."""

import pytest

STEPS = 5
LOSS = 1e-4
"""How far what is logged may be apart."""


def few_steps(folder):
    """The options of a training of some steps on the CPU, in float32, that writes to ``folder``."""
    return {
        "output_dir": str(folder), "use_cpu": True, "seed": 7, "data_seed": 7, "report_to": "none",
        "disable_tqdm": True, "save_strategy": "no", "logging_steps": 1, "bf16": False,
        "gradient_checkpointing": False, "dataloader_pin_memory": False, "max_steps": STEPS,
        "per_device_train_batch_size": 4, "learning_rate": 5e-3,
    }  # fmt: skip


def assert_same_training(found, wanted, apart=LOSS):
    """Steps, tokens, every number of the log and the parts of memory are those of ``wanted``."""
    assert (found.steps, found.tokens) == (wanted.steps, wanted.tokens)
    assert [set(record) for record in found.log] == [set(record) for record in wanted.log]
    for key in wanted.log[0]:
        assert [record[key] for record in found.log] == pytest.approx(
            [record[key] for record in wanted.log], rel=max(1e-3, apart), abs=apart
        ), key
    assert found.parts == pytest.approx(wanted.parts)
