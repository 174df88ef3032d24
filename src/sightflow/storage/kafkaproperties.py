"""What tells a client of Kafka how to connect: by the names of the Python client, also for Java's.

Both clients share most names. They differ where secrets and certificates are; `java_properties`
translates these.
"""

from collections.abc import Mapping
from pathlib import Path

from sightflow.errors import PipelineError

__all__ = ["Properties", "java_properties", "read_properties"]

Properties = Mapping[str, str] | str
"""Names and values; or the path of a file with lines `NAME=VALUE`, which keeps passwords out of
pipelines."""

_OURS = {
    "bootstrap.servers": "`servers`",
    "group.id": "`group`",
    "auto.offset.reset": "`start`",
    "transactional.id": "`transactional_id_prefix`",
    "enable.auto.commit": "a checkpoint",
    "enable.idempotence": "`guarantee`",
    "isolation.level": "exactly-once",
}
"""Properties that are set by options, or follow from what is promised."""

_LOGINS = {
    "PLAIN": "plain.PlainLoginModule",
    "SCRAM-SHA-256": "scram.ScramLoginModule",
    "SCRAM-SHA-512": "scram.ScramLoginModule",
}
_PEM = {
    "ssl.ca.location": ("ssl.truststore.type", "ssl.truststore.certificates"),
    "ssl.certificate.location": ("ssl.keystore.type", "ssl.keystore.certificate.chain"),
    "ssl.key.location": ("ssl.keystore.type", "ssl.keystore.key"),
}


def read_properties(properties: Properties) -> dict[str, str]:
    """Return names and values, from a file where a path is given.

    Raises:
        PipelineError: the file cannot be read, one of its lines is no `NAME=VALUE`, or a property
            is one that an option stands for.
    """
    found = _lines_of(properties) if isinstance(properties, str) else dict(properties)
    for name in found:
        if name in _OURS:
            raise PipelineError(
                f"`properties`: {name!r} must not be there; it is what {_OURS[name]} is for"
            )
    return found


def java_properties(properties: Properties, *, package: str) -> dict[str, str]:
    """Return properties by the names of the Java client.

    Args:
        properties: by the names of the Python client.
        package: of the Java client, `org.apache.kafka` unless it was moved into another jar.

    Raises:
        PipelineError: a file that they name cannot be read, or the Java client cannot do what they
            ask for.
    """
    given = read_properties(properties)
    user, password = given.pop("sasl.username", None), given.pop("sasl.password", None)
    mechanism = given.pop("sasl.mechanisms", given.pop("sasl.mechanism", None))
    if mechanism is not None:
        given["sasl.mechanism"] = mechanism
    if user is not None:
        login = _login(mechanism, user, password or "")
        given["sasl.jaas.config"] = f"{package}.common.security.{login}"
    for name, (kind, content) in _PEM.items():
        path = given.pop(name, None)
        if path is not None:
            given |= {kind: "PEM", content: _text_of(name, path)}
    if given.get("ssl.endpoint.identification.algorithm") == "none":
        given["ssl.endpoint.identification.algorithm"] = ""
    return given


def _lines_of(path: str) -> dict[str, str]:
    """Return what the lines of a file say."""
    try:
        lines = Path(path).expanduser().read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path}: `properties` cannot be read: {error}") from error
    found = {}
    for number, line in enumerate(lines, 1):
        name, separator, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not separator or not name.strip():
            raise PipelineError(f"{path}: line {number} must be `NAME=VALUE`")
        found[name.strip()] = value.strip()
    return found


def _login(mechanism: str | None, user: str, password: str) -> str:
    if mechanism not in _LOGINS:
        raise PipelineError(
            f"`properties`: with `sasl.username`, `sasl.mechanism` is one of {', '.join(_LOGINS)}; "
            f"got {mechanism!r}"
        )
    return f"{_LOGINS[mechanism]} required username={_quoted(user)} password={_quoted(password)};"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text_of(name: str, path: str) -> str:
    try:
        return Path(path).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"`properties`: {name} cannot be read: {error}") from error
