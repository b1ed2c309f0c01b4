"""Synthetic event logs from people whose preferences are known, with the truth about every defect kept beside them.

Pure: parameters in, frames out; `writing` alone touches files. Nothing grows on the driver with users or events.
"""

from lake.generator.params import Params
from lake.generator.writing import Generated, check_folder, write_log

__all__ = ["Generated", "Params", "check_folder", "write_log"]
