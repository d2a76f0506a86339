import json

from harness.backends.hf import probe


def test_every_step_works_on_this_machine(capsys):
    probe.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ends = {line["step"]: line for line in lines if "ok" in line}
    assert [line["step"] for line in lines if "starts" in line] == list(ends)
    assert {name: end.get("error") for name, end in ends.items() if not end["ok"]} == {}
    assert {f"{kernel} on cpu" for kernel in probe.KERNELS} <= set(ends)


def test_a_wrong_result_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(probe, "NF4_ERROR", 1e-6)
    assert not probe._try("nf4", lambda: probe._nf4("cpu"))
    assert "wrong by" in capsys.readouterr().out
