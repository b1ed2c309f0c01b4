"""The models' parameters of this home: the defaults, and what its settings replace."""

from __future__ import annotations

from collections.abc import Mapping

from lake.settings import Settings
from models.hybrid import Parameters
from models.values import Value, with_values


def parameters_of(settings: Settings, given: Mapping[str, Value] | None = None) -> Parameters:
    """The defaults with the values given, by default those of the settings, and the settings' diversity.

    Raises ModelError that names a wrong parameter, what was got and what is allowed.
    """
    parameters = with_values(Parameters(diversity=settings.diversity), settings.parameters if given is None else given)
    parameters.check()
    return parameters
