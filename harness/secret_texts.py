"""Cuts secrets out of other programs' words, which may quote an address with its password."""

from __future__ import annotations

import os
import re

_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY|(^|_)KEY$", re.IGNORECASE)
_HUB_TOKEN = re.compile(r"\bhf_\w{8,}")
_PASSWORD = re.compile(r"""(?<=://)[^/\s"'<>]*@""")
"""What stands before the host in an address: MLflow takes `http://user:password@host`."""


def without_secrets(text: str) -> str:
    """``text`` without hub tokens, passwords in addresses, and values of variables for secrets."""
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET_NAME.search(name):  # a shorter one would cut plain words
            text = text.replace(value, "***")
    return _PASSWORD.sub("***@", _HUB_TOKEN.sub("***", text))
