"""compose.yaml and the files that its services read."""

import json
import re
import subprocess
import tomllib

import pytest
import yaml

from settings import PROJECT_DIR, Settings

TEXT = (PROJECT_DIR / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
EXAMPLE = (PROJECT_DIR / "deploy" / "compose.env").read_text()
MONITORING = PROJECT_DIR / "deploy" / "monitoring"
LOCAL = re.compile(r"\./\S+?(?=:)")


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_limited(name):
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["logging"]["options"].keys() >= {"max-size", "max-file"}
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["read_only"] is True
    assert ":" in service["image"] or "build" in service, "an image of others has a tag"


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"api", "caddy"}))
def test_only_this_machine_reaches_services_without_a_login(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


def test_dockerfile_has_the_targets():
    dockerfile = (PROJECT_DIR / "Dockerfile").read_text()
    for service in SERVICES.values():
        target = service.get("build", {}).get("target", "serve")
        assert re.search(rf"^FROM \S+ AS {target}$", dockerfile, re.MULTILINE)


def test_mounted_files_exist():
    mounted = [path for service in SERVICES.values() for volume in service.get("volumes", ()) for path in LOCAL.findall(volume)]
    assert len(mounted) > 5
    assert [path for path in mounted if not (PROJECT_DIR / path).exists()] == []


def test_named_volumes_are_declared():
    named = {re.sub(r"^\$\{\w+:-(\w+)}", r"\1", volume).split(":")[0] for s in SERVICES.values() for volume in s.get("volumes", ())}
    assert {name for name in named if not name.startswith(".")} == COMPOSE["volumes"].keys()


def test_settings_of_the_services_are_those_that_exist():
    names = SERVICES["api"]["environment"].keys() | SERVICES["trainer"]["environment"].keys()
    assert names - {"RETRAIN_OPTIONS"} <= Settings.model_fields.keys()


def test_trainer_splits_its_options_into_words(tmp_path):
    shell, option, script = SERVICES["trainer"]["command"]
    (tmp_path / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "python").chmod(0o755)
    search = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    for options, words in ({}, []), ({"RETRAIN_OPTIONS": "--symbols MSFT,KO --jobs 2"}, ["--symbols", "MSFT,KO", "--jobs", "2"]):
        call = [shell, option, script.replace("$$", "$")]  # as Compose reads it
        done = subprocess.run(call, env=search | options, capture_output=True, text=True, check=True)
        assert done.stdout.split("\n")[:-1] == ["modelTrain.py", "--nightly", "--keep-running", *words]


def test_example_sets_what_compose_reads():
    read = set(re.findall(r"\$\{(\w+)", TEXT)) | {"COMPOSE_PROFILES"}
    assert set(re.findall(r"^#([A-Z_]+)=", EXAMPLE, re.MULTILINE)) <= read
    assert not re.search(r"^[^#\n]", EXAMPLE, re.MULTILINE), "a copied example changes nothing"


def test_api_and_trainer_share_the_models():
    of = {name: [volume for volume in SERVICES[name]["volumes"] if "/app/modelFiles" in volume] for name in ("api", "trainer")}
    assert of["api"] == [f"{of['trainer'][0]}:ro"]
    # Whichever container fills the volume, the user of both owns the folder.
    assert (PROJECT_DIR / "Dockerfile").read_text().count("COPY --from=code --chown=10001:10001 /models ./") == 2


def test_trainer_may_call_mlflow():
    host = SERVICES["trainer"]["environment"]["MLFLOW_TRACKING_URI"].removeprefix("http://")
    assert SERVICES["api"]["environment"]["MLFLOW_TRACKING_URI"] == f"http://{host}"  # for the page that /mlflow leads to
    allowed = SERVICES["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"]
    assert host in allowed
    assert "localhost:*" in allowed  # browsers


def test_grafana_finds_prometheus_and_the_dashboard():
    volumes = dict(volume.removesuffix(":ro").split(":") for volume in SERVICES["grafana"]["volumes"])
    [source] = yaml.safe_load((MONITORING / "grafana-datasource.yml").read_text())["datasources"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert source["url"] == "http://prometheus:9090"
    assert SERVICES["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    [provider] = yaml.safe_load((MONITORING / "grafana-dashboards.yml").read_text())["providers"]
    shown = volumes["./deploy/monitoring/grafana.json"]
    assert shown.startswith(f"{provider['options']['path']}/")
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == shown
    folders = {path.removeprefix("/etc/grafana/provisioning/").split("/")[0] for path in volumes.values() if "provisioning" in path}
    assert folders == {"datasources", "dashboards"}


def test_dashboard_takes_its_data_source_from_a_variable():
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    assert "__inputs" not in dashboard  # only the import dialogue asks for these
    assert [variable["name"] for variable in dashboard["templating"]["list"] if variable["type"] == "datasource"] == ["datasource"]
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {"${datasource}"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_dashboard_shows_the_age_of_the_model_in_days_as_the_alert_does():
    panels = json.loads((MONITORING / "grafana.json").read_text())["panels"]
    (age,) = [panel for panel in panels if panel["title"] == "Model's age"]
    assert age["targets"][0]["expr"].endswith("/ 86400")
    assert age["fieldConfig"]["defaults"]["unit"] == "suffix: days"
    assert age["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"] == 30


def make(folder, *arguments):
    """Run make with a Compose that prints the version, the commit and its arguments."""
    compose = folder / "compose"
    compose.write_text('#!/bin/sh\necho "$VERSION $COMMIT $*"\n')
    compose.chmod(0o755)
    command = ["make", "--no-print-directory", f"COMPOSE={compose}", *arguments]
    return subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)


def test_make_up_labels_the_images_with_version_and_commit(tmp_path):
    version = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"]["version"]
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
    commit = git.stdout.strip() if git.returncode == 0 else "unknown"
    assert make(tmp_path, "up").stdout.splitlines()[0] == f"{version} {commit} up -d --build"


@pytest.mark.parametrize(("target", "ends"), [("down", " down"), ("logs", " logs -f --tail 100")])
def test_make_down_and_logs_reach_the_services_of_all_profiles(tmp_path, target, ends):
    said = make(tmp_path, target).stdout.strip()
    assert said.endswith(ends)
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", ())}
    assert set(re.findall(r"--profile (\w+)", said)) == profiles


def test_make_up_without_compose_says_where_its_installation_is_described(tmp_path):
    done = make(tmp_path, "up", "COMPOSE=no-such-compose")
    assert done.returncode != 0
    assert done.stderr.startswith("error: 'no-such-compose' does not work; deploy/README.md says how to install Docker and Compose\n")
