"""An `evaluate` module named in a suite is scored beside the built-in metrics."""

from click.testing import CliRunner

from harness.cli import main
from harness.results.run import load_run

MODULE = """\
import datasets
import evaluate


class WordCount(evaluate.Metric):
    def _info(self):
        kinds = {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
        return evaluate.MetricInfo(
            description="words in the prediction", citation="", inputs_description="",
            features=datasets.Features(kinds),
        )

    def _compute(self, predictions, references):
        words = [len(text.split()) for text in predictions]
        return {"word_count": sum(words) / len(words)}
"""


def test_a_local_evaluate_module_gives_a_metric(write_suite, tmp_path):
    module = tmp_path / "word_count.py"
    module.write_text(MODULE)
    entry = f"{{source: {module}, higher_is_better: neither}}"
    suite = write_suite()
    text = suite.read_text().replace("evaluation: {", f"evaluation: {{metrics: [{entry}], ")
    suite.write_text(text)
    out = tmp_path / "out"
    words = ["run", str(suite), "-o", str(out), "--backend", "testing"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, (result.output, *(p.read_text() for p in out.rglob("cell.log")))
    loaded = load_run(out)
    for cell in loaded.cells:
        words = [len(r["prediction"].split()) for r in loaded.predictions(cell)]
        assert cell.value("word_count").value == sum(words) / len(words)
