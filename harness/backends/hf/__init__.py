"""The Hugging Face stack: the only package that imports torch."""

import logging

# 8-bit layers tell of a cast once a call: 86,016 lines in the log of one cell
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
