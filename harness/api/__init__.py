"""The functions of `import harness`; the commands and the pytest plug-in call the same ones.

One file for each thing you do: `suites` plans and runs them, `runs` reads and reports what they
left behind, `gate` compares with a baseline, `models` lists and describes model cards.
"""
