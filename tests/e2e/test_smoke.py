"""deploy/smokeTest.py against a real server, with and without API keys."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from settings import PROJECT_DIR

OWN = {"WEB_CONCURRENCY": "1"}


def smoke(*arguments, **environment):
    """Run the smoke test, and return its exit code, its output and its error."""
    unset = {name: value for name, value in os.environ.items() if not name.startswith("API_KEY")}
    command = [sys.executable, str(PROJECT_DIR / "deploy" / "smokeTest.py"), *arguments]
    done = subprocess.run(command, env=unset | environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def keyed(start_module):
    return start_module(API_KEY="first-key,second-key", **OWN).url


def test_service_without_keys_passes(start_module):
    code, said, error = smoke(start_module(**OWN).url)
    assert (code, error) == (0, "")
    assert said.splitlines()[-1] == "ok  the page answers"


def test_first_key_of_the_environment_is_sent(keyed):
    assert smoke(keyed, API_KEY="first-key,second-key")[::2] == (0, "")


def test_key_is_read_from_the_file_with_keys(keyed, tmp_path):
    (tmp_path / "keys").write_text("\n second-key \nfirst-key\n")
    assert smoke(keyed, API_KEY_FILE=str(tmp_path / "keys"))[::2] == (0, "")


@pytest.mark.parametrize("line", ["API_KEY=second-key", 'API_KEY="second-key"', "API_KEY_FILE={folder}/keys"])
def test_key_is_read_from_the_file_with_settings(keyed, tmp_path, line):
    (tmp_path / "keys").write_text("first-key\n")
    (tmp_path / "service.env").write_text(f"# API_KEY=old\nRATE_LIMIT=600/minute\n{line.format(folder=tmp_path)}\n")
    assert smoke("--env-file", str(tmp_path / "service.env"), keyed, API_KEY="")[::2] == (0, "")


@pytest.mark.parametrize("environment", [{}, {"API_KEY": "wrong"}])
def test_missing_or_wrong_key_is_one_sentence_that_says_where_to_set_it(keyed, environment):
    code, said, error = smoke(keyed, **environment)
    assert (code, said) == (1, "")
    assert error == (
        "error: The API key is missing or wrong. Send it in the header X-API-Key. Set API_KEY or API_KEY_FILE, or use --env-file.\n"
    )


def test_file_that_cannot_be_read_is_named(tmp_path):
    missing = str(tmp_path / "service.env")
    assert smoke("--env-file", missing, "http://127.0.0.1:9") == (1, "", f"error: {missing} cannot be read: No such file or directory\n")


def test_ctrl_c_while_it_waits_is_one_word():
    with socket.create_server(("127.0.0.1", 0)) as service:  # answers nothing
        url = f"http://127.0.0.1:{service.getsockname()[1]}"
        process = subprocess.Popen([sys.executable, "deploy/smokeTest.py", url], cwd=PROJECT_DIR, stderr=subprocess.PIPE, text=True)
        with service.accept()[0]:  # its first request
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "interrupted\n")


def test_address_without_a_host_is_wrong_usage():
    code, _, error = smoke("127.0.0.1:8010")
    assert code == 2
    assert error.endswith("'127.0.0.1:8010' is not an address such as http://127.0.0.1:8010\n")
