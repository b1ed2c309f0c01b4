"""Sources of outside data: their mappings, the loaders that land files, and the way from landing to bronze."""

from lake.sources.loaders import SOURCES, load
from lake.sources.mapping import KINDS, Kind, Mapping, bundled_names
from lake.sources.report import LoadReport

__all__ = ["KINDS", "Kind", "LoadReport", "Mapping", "SOURCES", "bundled_names", "load"]
