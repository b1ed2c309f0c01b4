"""Errors a user may meet. Each says what was got, what is allowed and what to do.

Exceptions keep their arguments (not only a text), so that they survive the way to another process.
`exit_code` is what a command ends with: 2 for something a retry cannot mend (bad input, a broken contract),
1 for everything else, which Airflow retries.
"""

from __future__ import annotations


class AttuneError(Exception):
    """Base of all errors that are meant for people: shown as one message, without a stack trace."""

    exit_code = 2


class SetupError(AttuneError):
    """The environment lacks something."""


class SettingError(AttuneError):
    """A setting is missing or wrong."""


class SourceError(AttuneError):
    """A source, its mapping or its files cannot be used as they are."""


class WindowError(AttuneError):
    """A window or date that cannot be."""


class ContractError(AttuneError):
    """Data broke a contract: a gate failed, the books do not balance, a table lacks a column."""


class ModelError(AttuneError):
    """No model, or not enough data to make one."""


class ServingError(AttuneError):
    """A request the serving layer cannot answer as asked: a malformed id, no snapshot."""


class PublishError(AttuneError):
    """A snapshot that must not become the published one."""
