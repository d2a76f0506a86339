"""A suite in a folder of its own, run to its end by the command."""

from click.testing import CliRunner

from harness.cli import main
from harness.results.run import load_run


def finished(suite, folder, root):
    """The run of ``suite``, a text, in ``folder`` beside the shipped model cards of ``root``."""
    (folder / "models").symlink_to(root / "models")
    (folder / "suite.yaml").write_text(suite)
    result = CliRunner().invoke(main, ["run", str(folder / "suite.yaml"), "-o", str(folder / "r")])
    assert result.exit_code == 0, result.output
    return load_run(folder / "r")
