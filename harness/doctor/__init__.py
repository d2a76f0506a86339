"""What this machine can do: `harness doctor` looks, tries, and says what is missing.

`training` tries torch and bitsandbytes in a process of its own, `surroundings` looks at the hub,
caches, disk and tools, `suite` at what of a suite can run here. Each gives findings.
"""
