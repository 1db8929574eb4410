#!/usr/bin/env bash
# Turns a bare instance into a served API with TLS: Ubuntu 24.04, Debian 12 or Amazon Linux 2023, as root.
#
#   sudo REPOSITORY=https://github.com/OWNER/stock-forecast-service.git bash user-data.sh
#
# Run it again to update, to roll back (REF=COMMIT) or to change a setting. Settings are remembered, a trained model is kept.
# deploy/ec2/README.md is the guide. Settings, all from the environment:
#
#   REPOSITORY  address to clone from; needed in the first run
#   REF         branch, tag or commit (main)
#   MODE        docker, or systemd, which can also train (systemd)
#   DOMAIN      name that points at this instance; Caddy then gets a public certificate (none)
#   ADDRESS     public IP address, if there is no domain (asked from EC2)
#   TRAINING    yes installs training, the MLflow UI and nightly retraining; needs MODE=systemd and 4 GB of memory (no)
set -euo pipefail

HOME_DIR=/opt/stock-forecast-service
ENV_FILE=/etc/stock-forecast-service.env      # settings of the service
SETUP_FILE=/etc/stock-forecast-service.setup  # settings of this script
UNITS=/etc/systemd/system
CADDYFILE=/etc/caddy/Caddyfile
CA_FILE=/etc/stock-forecast-service-ca.crt
IMAGE=tech_challenge_f4
CONTAINER=tc_fase_4
LOG_LIMITS=(--log-opt max-size=10m --log-opt max-file=5)
SETTINGS=(REPOSITORY REF MODE DOMAIN ADDRESS TRAINING)

say() { printf 'user-data: %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# The environment wins over the last run, which wins over the defaults.
read_settings() {
  local name value
  for name in "${SETTINGS[@]}"; do
    value=$(printenv "$name") || value=$(sed -n "s/^$name=//p" "$SETUP_FILE" 2>/dev/null) || value=
    printf -v "$name" %s "$value"
  done
  REF=${REF:-main} MODE=${MODE:-systemd} TRAINING=${TRAINING:-no}
  [ -n "$REPOSITORY" ] || die "REPOSITORY is missing. Set it to the address of the git repository, for example https://github.com/OWNER/stock-forecast-service.git"
  case $MODE in docker | systemd) ;; *) die "MODE=$MODE is unknown. Use docker or systemd" ;; esac
  case $TRAINING in yes | no) ;; *) die "TRAINING=$TRAINING is unknown. Use yes or no" ;; esac
  [ "$MODE$TRAINING" != dockeryes ] || die "TRAINING=yes needs MODE=systemd. To train in containers, use compose.yaml"
  for name in REPOSITORY REF DOMAIN ADDRESS; do
    [[ ${!name} =~ ^[][A-Za-z0-9:/._~@%+-]*$ ]] || die "$name contains a character that is not allowed: ${!name}"
  done
}

save_settings() {
  local name
  for name in "${SETTINGS[@]}"; do printf '%s=%s\n' "$name" "${!name}"; done >"$SETUP_FILE"
}

is_installed() { command -v "$1" >/dev/null; }

install_packages() {
  if is_installed apt-get; then
    local packages=(git curl ca-certificates openssl caddy)
    export DEBIAN_FRONTEND=noninteractive
    local options=(-q -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold)
    apt-get "${options[@]}" update
    if [ "$MODE" = systemd ]; then
      packages+=(python3-venv)
    elif ! is_installed docker; then
      packages+=(docker.io)
      # Ubuntu has BuildKit's client in a package of its own, Debian 12 has none.
      if apt-cache show docker-buildx >/dev/null 2>&1; then packages+=(docker-buildx); fi
    fi
    apt-get "${options[@]}" install -y --no-install-recommends "${packages[@]}"
    PYTHON=python3
  elif is_installed dnf; then
    # Amazon Linux has curl, but no package of Caddy: Caddy runs in Docker.
    local packages=(git openssl docker)
    if [ "$MODE" = systemd ]; then packages+=(python3.12); fi
    dnf install -y -q "${packages[@]}"
    PYTHON=python3.12
  else
    die "neither apt-get nor dnf is here. Use Ubuntu 24.04, Debian 12 or Amazon Linux 2023"
  fi
  if is_installed docker && [ -e /usr/lib/systemd/system/docker.service ]; then systemctl enable --now docker; fi
}

create_user() {
  id stock-forecast >/dev/null 2>&1 ||
    useradd --system --home-dir "$HOME_DIR" --shell /usr/sbin/nologin stock-forecast
  install -d -o stock-forecast -g stock-forecast "$HOME_DIR"
}

as_user() { (cd "$HOME_DIR" && exec runuser -u stock-forecast -- env HOME="$HOME_DIR" "$@"); }

# A model that was trained here differs from the one in git. It is moved out of the way of the checkout and back.
fetch_code() {
  local kept=$HOME_DIR/.git/trained-models
  [ -e "$HOME_DIR/.git" ] || as_user git init -q
  as_user git config remote.origin.url "$REPOSITORY"
  as_user git fetch -q --force origin "$REF"
  if [ ! -e "$kept" ] && as_user git rev-parse -q --verify HEAD >/dev/null && [ -n "$(as_user git status --porcelain modelFiles)" ]; then
    as_user cp -a modelFiles "$kept.tmp"
    mv "$kept.tmp" "$kept"
  fi
  as_user git checkout -q --force --detach FETCH_HEAD
  if [ -e "$kept" ]; then
    rm -rf "$HOME_DIR/modelFiles"
    mv "$kept" "$HOME_DIR/modelFiles"
  fi
  say "code: $(as_user git log -1 --format='%h %s')"
}

# Adds the settings that are missing. A setting that somebody changed stays.
write_env() {
  local line
  [ -e "$ENV_FILE" ] || install -m 600 /dev/null "$ENV_FILE"
  for line in HOST=127.0.0.1 TRUSTED_PROXIES=1 "API_KEY=$(openssl rand -hex 24)"; do
    grep -q "^${line%%=*}=" "$ENV_FILE" || printf '%s\n' "$line" >>"$ENV_FILE"
  done
}

# Clients come through Caddy, so the socket listens on 127.0.0.1 alone.
install_units() {
  local unit units=(flask_app.service flask_app.socket)
  if [ "$TRAINING" = yes ]; then units+=(retrain.service retrain.timer); fi
  for unit in "${units[@]}"; do install -m 644 "$HOME_DIR/deploy/$unit" "$UNITS/"; done
  mkdir -p "$UNITS/flask_app.socket.d"
  printf '[Socket]\nListenStream=\nListenStream=127.0.0.1:8010\n' >"$UNITS/flask_app.socket.d/local.conf"
}

start_with_systemd() {
  local requirements=requirements-serve.txt
  if [ "$TRAINING" = yes ]; then
    requirements=requirements.txt
    as_user mkdir -p mlruns
  fi
  [ -x "$HOME_DIR/.venv/bin/pip" ] || as_user "$PYTHON" -m venv .venv
  as_user .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r "$requirements"
  if is_installed docker; then docker rm -f "$CONTAINER" >/dev/null 2>&1 || true; fi
  install_units
  systemctl daemon-reload
  # The socket takes the port, which a service that was started without it still holds.
  systemctl is-active -q flask_app.socket || systemctl stop flask_app
  systemctl enable -q --now flask_app.socket
  systemctl enable -q flask_app
  systemctl restart flask_app
  if [ "$TRAINING" = yes ]; then systemctl enable -q --now retrain.timer; fi
}

start_with_docker() {
  local unit
  if docker image inspect "$IMAGE" >/dev/null 2>&1; then docker tag "$IMAGE" "$IMAGE:previous"; fi
  docker build -q -t "$IMAGE" "$HOME_DIR"
  for unit in flask_app.socket flask_app retrain.timer; do systemctl disable -q --now "$unit" 2>/dev/null || true; done
  docker rm -f "$CONTAINER" >/dev/null 2>&1 || true
  docker run -d --name "$CONTAINER" --restart unless-stopped -p 127.0.0.1:8010:8010 --env-file "$ENV_FILE" -e HOST=0.0.0.0 \
    --read-only --tmpfs /tmp --cap-drop all --security-opt no-new-privileges --memory 1g "${LOG_LIMITS[@]}" -v forecast-log:/data "$IMAGE" >/dev/null
}

# The public address of an EC2 instance, from its metadata service; elsewhere the first address of this machine.
find_address() {
  local token base=http://169.254.169.254/latest
  token=$(curl -sf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$base/api/token" || true)
  curl -sf -m 2 -H "X-aws-ec2-metadata-token: $token" "$base/meta-data/public-ipv4" || hostname -I | cut -d' ' -f1
}

# /metrics has no login, so it is not served to the outside. A client that opens an IP address names no host in its TLS handshake.
print_caddyfile() {
  printf '# Written by deploy/ec2/user-data.sh; its next run overwrites changes.\n'
  if [ -n "$DOMAIN" ]; then
    printf '\n%s {\n' "$DOMAIN"
  else
    printf '{\n\tdefault_sni %s\n\tskip_install_trust\n}\n' "$ADDRESS"
    printf '\nhttps://%s, https://localhost {\n\ttls internal\n' "$ADDRESS"
  fi
  printf '\t@metrics path /metrics /metrics/*\n\trespond @metrics 404\n\treverse_proxy 127.0.0.1:8010\n}\n'
}

write_caddyfile() {
  [ -n "$DOMAIN$ADDRESS" ] || ADDRESS=$(find_address)
  PUBLIC_HOST=${DOMAIN:-$ADDRESS}
  PUBLIC=https://$PUBLIC_HOST
  mkdir -p "${CADDYFILE%/*}"
  print_caddyfile >"$CADDYFILE.new"
  mv "$CADDYFILE.new" "$CADDYFILE"
}

start_caddy() {
  CA_SOURCE=/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt
  if is_installed caddy; then
    systemctl enable -q caddy
    systemctl reload-or-restart caddy
  else
    docker rm -f caddy >/dev/null 2>&1 || true
    docker run -d --name caddy --restart unless-stopped --network host --memory 256m "${LOG_LIMITS[@]}" \
      -v "$CADDYFILE:$CADDYFILE:ro" -v caddy-data:/data caddy:2 >/dev/null
    CA_SOURCE=$(docker volume inspect -f '{{.Mountpoint}}' caddy-data)/caddy/pki/authorities/local/root.crt
  fi
}

# Calls a URL of the public site, through Caddy, from this machine.
call() {
  local path=$1 trust=()
  shift
  [ -n "$DOMAIN" ] || trust=(--cacert "$CA_FILE")
  curl -sS --fail -m 10 "${trust[@]}" --connect-to "$PUBLIC_HOST:443:127.0.0.1:443" "$@" "$PUBLIC$path"
}

retry() { # SECONDS COMMAND...
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 1
  done
}

check() {
  retry 90 curl -sf -m 5 http://127.0.0.1:8010/ready ||
    die "the service does not answer on 127.0.0.1:8010. Read: journalctl -u flask_app (systemd), or docker logs $CONTAINER (Docker)"
  if [ -z "$DOMAIN" ]; then
    retry 60 test -s "$CA_SOURCE" || die "Caddy has made no certificate. Read: journalctl -u caddy (Amazon Linux: docker logs caddy)"
    install -m 644 "$CA_SOURCE" "$CA_FILE"
  fi
  if ! retry 90 call /ready; then
    [ -n "$DOMAIN" ] || die "Caddy does not answer on port 443. Read: journalctl -u caddy (Amazon Linux: docker logs caddy)"
    say "the service runs, but $PUBLIC has no certificate yet. Point $DOMAIN at this instance and open ports 80 and 443; Caddy then gets one by itself"
    return
  fi
  local key
  key=$(sed -n 's/^API_KEY=\([^,]*\).*/\1/p' "$ENV_FILE")
  call /predict -o /dev/null -H 'Content-Type: application/json' -H @- -d "{\"predict\": [$(seq -s , 400 459)]}" <<<"X-API-Key: $key" ||
    die "/predict does not answer 200 through Caddy"
  say "ready: $PUBLIC answers /ready and /predict. The API key is in $ENV_FILE"
  [ -n "$DOMAIN" ] || say "clients trust the certificate with $CA_FILE (curl --cacert)"
}

main() {
  read_settings
  [ "$(id -u)" = 0 ] || die "run this as root: sudo bash $0"
  cd /
  umask 022
  install_packages
  create_user
  fetch_code
  save_settings
  write_env
  "start_with_$MODE"
  write_caddyfile
  start_caddy
  check
}

# Tests load the functions without running them.
if [ "${BASH_SOURCE[0]:-$0}" = "$0" ]; then main; fi
