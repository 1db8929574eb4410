"""The steps of deploy/ec2/user-data.sh that need no root, and what its template gives it."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from settings import PROJECT_DIR

SCRIPT = PROJECT_DIR / "deploy" / "ec2" / "user-data.sh"
TEMPLATE = PROJECT_DIR / "deploy" / "ec2" / "template.yaml"
REPOSITORY = "https://example.com/stocks.git"


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions, such as !Ref, as what they are given."""


Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_yaml_str(node) if isinstance(node, yaml.ScalarNode) else [])


@pytest.fixture
def shell(tmp_path):
    """Runs commands after the functions of the script were loaded; its files are in tmp_path, its user is the present one."""

    def run(commands, **environment):
        files = "".join(f"{name}={tmp_path / name.lower()}\n" for name in ("HOME_DIR", "ENV_FILE", "SETUP_FILE", "CADDYFILE", "UNITS"))
        own = 'as_user() { (cd "$HOME_DIR" && "$@"); }\n'
        return subprocess.run(
            ["bash", "-c", f". {SCRIPT}\n{files}{own}{commands}"],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "REPOSITORY is missing. Set it to the address of the git repository"),
        ({"REPOSITORY": REPOSITORY, "MODE": "podman"}, "MODE=podman is unknown. Use docker or systemd"),
        ({"REPOSITORY": REPOSITORY, "TRAINING": "true"}, "TRAINING=true is unknown. Use yes or no"),
        ({"REPOSITORY": REPOSITORY, "MODE": "docker", "TRAINING": "yes"}, "TRAINING=yes needs MODE=systemd"),
        ({"REPOSITORY": REPOSITORY, "DOMAIN": "a b"}, "DOMAIN contains a character that is not allowed: a b"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_installed(environment, message):
    done = subprocess.run(
        ["bash", str(SCRIPT)], env={"PATH": os.environ["PATH"]} | environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1


def test_settings_are_remembered_and_the_environment_wins(shell):
    shown = 'echo "$REPOSITORY $REF $MODE [$DOMAIN]"'
    assert shell(f"read_settings; save_settings; {shown}", REPOSITORY=REPOSITORY, DOMAIN="a.example").stdout == (
        f"{REPOSITORY} main systemd [a.example]\n"
    )
    assert shell(f"read_settings; {shown}").stdout == f"{REPOSITORY} main systemd [a.example]\n"
    assert shell(f"read_settings; {shown}", REF="v1", DOMAIN="").stdout == f"{REPOSITORY} v1 systemd []\n"


def test_api_key_and_changed_settings_stay(shell, tmp_path):
    assert shell("write_env").returncode == 0
    first = (tmp_path / "env_file").read_text()
    assert re.fullmatch(r"HOST=127.0.0.1\nTRUSTED_PROXIES=1\nAPI_KEY=[0-9a-f]{48}\n", first)
    assert (tmp_path / "env_file").stat().st_mode & 0o777 == 0o600
    (tmp_path / "env_file").write_text(first.replace("TRUSTED_PROXIES=1", "TRUSTED_PROXIES=2"))
    shell("write_env")
    assert (tmp_path / "env_file").read_text() == first.replace("TRUSTED_PROXIES=1", "TRUSTED_PROXIES=2")


def git(folder, *command):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", *identity, "-C", str(folder), *command], check=True, capture_output=True)


@pytest.fixture
def origin(tmp_path):
    """A repository with a model, and its next version."""
    folder = tmp_path / "origin"
    (folder / "modelFiles").mkdir(parents=True)
    (tmp_path / "home_dir").mkdir()
    git(tmp_path, "init", "-q", "-b", "main", "origin")
    for version in ("1", "2"):
        (folder / "app.py").write_text(version)
        (folder / "modelFiles" / "metadata.json").write_text(f"of git {version}")
        git(folder, "add", ".")
        git(folder, "commit", "-qm", version)
        git(folder, "tag", f"v{version}")
    return folder


def state(tmp_path):
    return [(tmp_path / "home_dir" / name).read_text() for name in ("app.py", "modelFiles/metadata.json")]


def test_update_and_rollback_replace_code_and_the_model_of_git(shell, tmp_path, origin):
    for ref, version in (("v1", "1"), ("main", "2"), ("v1", "1")):
        done = shell("read_settings; fetch_code", REPOSITORY=str(origin), REF=ref)
        assert done.returncode == 0, done.stderr
        assert state(tmp_path) == [version, f"of git {version}"]


def test_update_keeps_a_model_that_was_trained_here(shell, tmp_path, origin):
    shell("read_settings; fetch_code", REPOSITORY=str(origin), REF="v1")
    models = tmp_path / "home_dir" / "modelFiles"
    (models / "metadata.json").write_text("trained")
    (models / "new").write_text("a new version")
    # Killed between the checkout and the move back, and run again.
    killed = shell("mv() { [ $2 != $HOME_DIR/modelFiles ] || exit 9; command mv $@; }; read_settings; fetch_code", REPOSITORY=str(origin))
    assert killed.returncode == 9
    assert shell("read_settings; fetch_code", REPOSITORY=str(origin)).returncode == 0
    assert state(tmp_path) == ["2", "trained"]
    assert (models / "new").read_text() == "a new version"


def test_branch_that_does_not_exist_changes_nothing(shell, tmp_path, origin):
    shell("read_settings; fetch_code", REPOSITORY=str(origin), REF="v1")
    assert shell("read_settings; fetch_code", REPOSITORY=str(origin), REF="v9").returncode != 0
    assert state(tmp_path) == ["1", "of git 1"]


@pytest.mark.parametrize("training", ["no", "yes"])
def test_units_are_installed_and_the_port_is_open_to_this_machine_alone(shell, tmp_path, training):
    (tmp_path / "home_dir").symlink_to(PROJECT_DIR)
    (tmp_path / "units").mkdir()
    done = shell("read_settings; install_units", REPOSITORY=REPOSITORY, TRAINING=training)
    assert done.returncode == 0, done.stderr
    installed = {file.name for file in (tmp_path / "units").iterdir() if file.is_file()}
    assert installed == {"flask_app.service", "flask_app.socket"} | ({"retrain.service", "retrain.timer"} if training == "yes" else set())
    lines = (tmp_path / "units" / "flask_app.socket.d" / "local.conf").read_text().splitlines()
    assert lines == ["[Socket]", "ListenStream=", "ListenStream=127.0.0.1:8010"]  # the empty line removes the address of the unit


@pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy not installed: make proxies (as root)")
@pytest.mark.parametrize(("domain", "address"), [("stocks.example", ""), ("", "203.0.113.7")])
def test_caddy_accepts_its_file_and_hides_metrics(shell, tmp_path, domain, address):
    done = shell("read_settings; write_caddyfile; echo $PUBLIC", REPOSITORY=REPOSITORY, DOMAIN=domain, ADDRESS=address)
    assert done.stdout == f"https://{domain or address}\n", done.stderr
    call = ["caddy", "adapt", "--adapter", "caddyfile", "--config", str(tmp_path / "caddyfile")]
    adapted = subprocess.run(
        call, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    ).stdout
    assert f'"{domain or address}"' in adapted
    assert '"/metrics"' in adapted
    assert ("internal" in adapted) == (not domain)  # the own certificate authority
    assert ("default_sni" in adapted) == (not domain)


def test_template_is_short_and_gives_the_script_settings_that_it_knows():
    assert len(TEMPLATE.read_text().splitlines()) < 100
    template = yaml.load(TEMPLATE.read_text(), Loader)  # a SafeLoader
    script = template["Resources"]["Server"]["Properties"]["UserData"]["Fn::Base64"]
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    known = set(re.findall(r"^SETTINGS=\((.*)\)$", SCRIPT.read_text(), re.M)[0].split())
    assert set(re.findall(r"([A-Z]+)='\$\{", script)) == known
    assert set(re.findall(r"\$\{(\w+)\}", script)) <= {*template["Parameters"], "Ip"}


def test_script_fits_into_the_user_data_of_an_instance():
    assert SCRIPT.stat().st_size < 16 * 1024
