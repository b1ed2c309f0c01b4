"""Sources of outside data: their mappings, the loaders that land files, and the way from landing to bronze."""

from lake.sources.mapping import KINDS, Kind, Mapping, bundled_names

__all__ = ["KINDS", "Kind", "Mapping", "bundled_names"]
