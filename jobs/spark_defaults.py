"""The configuration folder of spark-submit: `python -m jobs.spark_defaults FOLDER`, then SPARK_CONF_DIR=FOLDER.

spark-submit starts the JVM before any Python runs, so Delta's jars and the driver's memory must be known to it; a
session that asks for them later is too late. The values are those of lake.session.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lake import settings as settings_module
from lake.console import say
from lake.errors import AttuneError, SettingError
from lake.session import spark_conf
from lake.settings import Settings

# Before the session sets its own level, spark-submit logs every step of its start.
LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""


def write(settings: Settings, folder: Path) -> Path:
    """Write spark-defaults.conf and log4j2.properties into the folder, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{key} {_escape(value)}" for key, value in spark_conf(settings).items()]
    (folder / "spark-defaults.conf").write_text("\n".join(lines) + "\n")
    (folder / "log4j2.properties").write_text(LOG4J)
    return folder


def _escape(value: str) -> str:
    """A value in Java's properties format."""
    return value.replace("\\", "\\\\")


if __name__ == "__main__":
    try:
        if len(sys.argv) != 2:
            raise SettingError(f"got {len(sys.argv) - 1} arguments; allowed is one, the folder to write into")
        say(f"wrote {write(settings_module.load(), Path(sys.argv[1]))}")
    except AttuneError as error:
        sys.exit(f"spark defaults: {error}")
