"""Properties are given by the Python client's names; the Java client gets its own."""

from pathlib import Path

import pytest

from sightflow.errors import PipelineError
from sightflow.storage.kafkaproperties import java_properties, read_properties

JAVA = "org.apache.kafka"


def test_a_file_of_properties_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "kafka.properties"
    path.write_text("# ours\n\nsasl.username = me\n  sasl.password=a=b#c \nssl.ca.location=\n")
    assert read_properties(str(path)) == {
        "sasl.username": "me",
        "sasl.password": "a=b#c",
        "ssl.ca.location": "",
    }


def test_a_line_that_is_none_is_named_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "kafka.properties"
    path.write_text("a=b\nsecret\n")
    with pytest.raises(PipelineError, match=r"kafka\.properties: line 2 must be `NAME=VALUE`$"):
        read_properties(str(path))


def test_a_file_that_is_not_there_is_an_error_of_the_pipeline() -> None:
    with pytest.raises(PipelineError, match="/nowhere: `properties` cannot be read"):
        read_properties("/nowhere")


def test_what_an_option_is_for_is_refused_in_a_file_as_well(tmp_path: Path) -> None:
    path = tmp_path / "kafka.properties"
    path.write_text("isolation.level=read_uncommitted\n")
    with pytest.raises(PipelineError, match=r"'isolation\.level' must not be there"):
        read_properties(str(path))


@pytest.mark.parametrize(
    ("mechanism", "login"),
    [
        ("PLAIN", "plain.PlainLoginModule"),
        ("SCRAM-SHA-256", "scram.ScramLoginModule"),
        ("SCRAM-SHA-512", "scram.ScramLoginModule"),
    ],
)
def test_name_and_password_become_a_login_of_java(mechanism: str, login: str) -> None:
    given = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": mechanism,
        "sasl.username": "me",
        "sasl.password": 'a"b\\c',
    }
    assert java_properties(given, package="moved.kafka") == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": mechanism,
        "sasl.jaas.config": f"moved.kafka.common.security.{login} required "
        r'username="me" password="a\"b\\c";',
    }


def test_a_login_that_cannot_be_translated_is_refused() -> None:
    given = {"sasl.mechanism": "GSSAPI", "sasl.username": "me"}
    with pytest.raises(PipelineError, match=r"is one of PLAIN, SCRAM-SHA-256, .*; got 'GSSAPI'"):
        java_properties(given, package=JAVA)


def test_certificates_are_handed_on_as_their_text(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text(f"the {name}")
    given = {
        "ssl.ca.location": str(tmp_path / "ca"),
        "ssl.certificate.location": str(tmp_path / "cert"),
        "ssl.key.location": str(tmp_path / "key"),
        "ssl.key.password": "secret",
        "ssl.endpoint.identification.algorithm": "none",
    }
    assert java_properties(given, package=JAVA) == {
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": "the ca",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": "the cert",
        "ssl.keystore.key": "the key",
        "ssl.key.password": "secret",
        "ssl.endpoint.identification.algorithm": "",
    }


def test_a_certificate_that_cannot_be_read_is_named() -> None:
    with pytest.raises(PipelineError, match=r"ssl\.ca\.location cannot be read.*nowhere"):
        java_properties({"ssl.ca.location": "/nowhere"}, package=JAVA)


def test_what_both_clients_know_stays_and_what_was_given_is_not_changed() -> None:
    given = {"client.id": "mine", "sasl.mechanism": "OAUTHBEARER"}
    assert java_properties(given, package=JAVA) == given
    assert given == {"client.id": "mine", "sasl.mechanism": "OAUTHBEARER"}
