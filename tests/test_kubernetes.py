"""The manifests in deploy/kubernetes fit the schemas of Kubernetes, each other, and the service."""

import re
import shutil
import subprocess

import cluster
import pytest
import yaml

from settings import PROJECT_DIR, Settings

FOLDER = PROJECT_DIR / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
FILES = [FOLDER / name for name in KUSTOMIZATION["resources"]]
OBJECTS = [document for file in FILES for document in yaml.safe_load_all(file.read_text())]
VALIDATE = cluster.BIN / "kubernetes-validate"
VERSIONS = ("1.31", "1.34", "1.37")  # of Kubernetes
OUR_IMAGES = ("tech_challenge_f4", "stock-forecast-full")
SECRETS = {"api", "mlflow"}  # docs/how-to/kubernetes.md creates them


def named(kind):
    return {found["metadata"]["name"]: found for found in OBJECTS if found["kind"] == kind}


def pod_of(found):
    inner = found["spec"].get("jobTemplate", found)["spec"]["template"]
    return inner["metadata"]["labels"], inner["spec"]


PODS = {found["metadata"]["name"]: pod_of(found) for found in OBJECTS if found["kind"] in ("Deployment", "CronJob")}
CONTAINERS = {
    f"{name}/{container['name']}": (container, pod)
    for name, (_, pod) in PODS.items()
    for container in [*pod.get("initContainers", []), *pod["containers"]]
}


def selects(selector):
    """Names of the pods that have the labels of a selector."""
    return [name for name, (labels, _) in PODS.items() if selector.items() <= labels.items()]


def environment(container):
    """Names and values of a container's variables, without those of secrets."""
    maps = [source["configMapRef"]["name"] for source in container.get("envFrom", []) if "configMapRef" in source]
    values = {name: value for found in maps for name, value in named("ConfigMap")[found]["data"].items()}
    return values | {variable["name"]: variable["value"] for variable in container.get("env", [])}


@pytest.mark.skipif(not VALIDATE.exists(), reason="kubernetes-validate is not installed: make cluster")
@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_fit_the_schemas(version):
    done = subprocess.run([VALIDATE, "--strict", "-k", version, *FILES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert (done.stdout + done.stderr).count(f"passed for resource deployment/api against version {version}") == 1


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_kustomize_puts_everything_into_the_namespace_with_images_of_the_registry():
    built = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=True).stdout
    objects = list(yaml.safe_load_all(built))
    assert len(objects) == len(OBJECTS)
    assert {found["metadata"].get("namespace") for found in objects if found["kind"] != "Namespace"} == {KUSTOMIZATION["namespace"]}
    assert set(re.findall(r"image: (\S+)", built)) == {f"{image['newName']}:{image['newTag']}" for image in KUSTOMIZATION["images"]}


def test_all_files_are_applied():
    assert {file.name for file in FOLDER.glob("*.yaml")} == {file.name for file in FILES} | {"kustomization.yaml"}


def test_every_image_is_replaced_by_the_one_of_the_registry():
    assert {container["image"] for container, _ in CONTAINERS.values()} == {image["name"] for image in KUSTOMIZATION["images"]}


@pytest.mark.parametrize("name", PODS)
def test_pods_are_not_root_and_get_no_token(name):
    _, pod = PODS[name]
    security = pod["securityContext"]
    assert security["runAsNonRoot"]
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {security[field] for field in ("runAsUser", "runAsGroup", "fsGroup")} == {10001}, "the user of the images"
    assert not pod["automountServiceAccountToken"]


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_are_read_only_and_bounded(name):
    container, pod = CONTAINERS[name]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]
    assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}


def test_replicas_share_nothing():
    _, pod = PODS["api"]
    kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
    assert kinds == {"emptyDir", "secret"}
    assert all(volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"] if "emptyDir" in volume)


def test_fetched_model_is_the_one_that_serves():
    """Only the two containers that fetch write the folder."""
    containers = {name: container for name, (container, _) in CONTAINERS.items() if name.startswith("api/")}
    for name, container in containers.items():
        (mount,) = [mount for mount in container["volumeMounts"] if mount["mountPath"] == environment(container)["MODEL_DIR"]]
        assert (mount["name"], mount.get("readOnly", False)) == ("models", name == "api/api")


def test_settings_exist_and_are_valid():
    for name, (container, _) in CONTAINERS.items():
        if container["image"] in OUR_IMAGES:
            given = {variable: value for variable, value in environment(container).items() if variable not in ("HOME", "API_KEY_FILE")}
            assert Settings.model_validate(given), name


def test_service_of_mlflow_is_the_tracking_server():
    service = named("Service")["mlflow"]
    address = f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert {environment(container).get("MLFLOW_TRACKING_URI") for name, (container, _) in CONTAINERS.items() if "mlflow" not in name} == {
        None,  # of the service itself: browsers cannot open the address
        address,
    }
    assert address.removeprefix("http://") in environment(CONTAINERS["mlflow/mlflow"][0])["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")


def test_selectors_find_their_pods():
    found = {name: selects(service["spec"]["selector"]) for name, service in named("Service").items()}
    found |= {f"budget {name}": selects(budget["spec"]["selector"]["matchLabels"]) for name, budget in named("PodDisruptionBudget").items()}
    found |= {f"policy {name}": selects(policy["spec"]["podSelector"]["matchLabels"]) for name, policy in named("NetworkPolicy").items()}
    assert all(pods == [name.split()[-1]] for name, pods in found.items()), found
    (allowed,) = named("NetworkPolicy")["mlflow"]["spec"]["ingress"][0]["from"][0]["podSelector"]["matchExpressions"]
    assert set(allowed["values"]) == {name for name, (container, _) in CONTAINERS.items() for name in [name.split("/")[0]]} - {"mlflow"}


def test_ports_lead_to_the_service():
    (backend,) = named("Ingress")["api"]["spec"]["rules"][0]["http"]["paths"]
    assert backend["backend"]["service"] == {"name": "api", "port": {"name": "http"}}
    for service in named("Service").values():
        (target,) = [port["targetPort"] for port in service["spec"]["ports"]]
        ports = [port for name in selects(service["spec"]["selector"]) for port in CONTAINERS[f"{name}/{name}"][0]["ports"]]
        assert target in [port["name"] for port in ports]
    assert CONTAINERS["api/api"][0]["ports"][0]["containerPort"] == Settings().PORT


def test_autoscaler_sets_the_replicas():
    scaler = named("HorizontalPodAutoscaler")["api"]["spec"]
    assert "replicas" not in named("Deployment")[scaler["scaleTargetRef"]["name"]]["spec"]
    assert f"api/{scaler['metrics'][0]['containerResource']['container']}" in CONTAINERS
    assert scaler["minReplicas"] > named("PodDisruptionBudget")["api"]["spec"]["maxUnavailable"]


def test_probes_are_calls_of_the_service(client):
    container, _ = CONTAINERS["api/api"]
    paths = {probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
    assert all(client.get(path).status_code == 200 for path in paths.values())


def test_training_runs_alone_by_the_clock_of_the_exchange():
    cronjob = named("CronJob")["retrain"]["spec"]
    assert (cronjob["concurrencyPolicy"], cronjob["timeZone"]) == ("Forbid", "America/New_York")
    (claim,) = [volume["persistentVolumeClaim"]["claimName"] for volume in PODS["retrain"][1]["volumes"] if volume["name"] == "models"]
    assert claim in named("PersistentVolumeClaim")


def test_secrets_are_those_of_the_guide():
    text = "".join(file.read_text() for file in FILES)
    used = set(re.findall(r"secretName: ([\w-]+)", text)) | set(re.findall(r"secretRef:\s+name: ([\w-]+)", text))
    assert used == SECRETS | {"api-tls"}  # cert-manager makes this one
    created = re.findall(r"create secret generic ([\w-]+)", (PROJECT_DIR / "docs" / "how-to" / "kubernetes.md").read_text())
    assert set(created) == SECRETS
