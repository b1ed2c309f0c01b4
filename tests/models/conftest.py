"""Spark's Python workers must run this interpreter, whatever `python3` is on the path."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
