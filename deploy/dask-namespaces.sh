#!/bin/sh
# Trains on a Dask cluster whose machines are network namespaces: a scheduler and three workers, each with its own address (Linux, as root).
#
#   sh deploy/dask-namespaces.sh python modelTrain.py --symbols MSFT,AAPL,KO --source snapshot --epochs 1
#
# Runs the command with --dask and the scheduler's address added, then removes the namespaces.
set -eu
[ $# -gt 0 ] || { echo "usage: sh $0 python modelTrain.py --symbols ..." >&2; exit 2; }
python=$1
net=10.77.86
folder=$(mktemp -d)

cleanup() {
    for host in scheduler worker1 worker2 worker3; do
        ip netns pids "dask-$host" 2>/dev/null | xargs -r kill -9 || true
        ip netns del "dask-$host" 2>/dev/null || true
    done
    ip link del dask-bridge 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT INT TERM

ip link add dask-bridge type bridge
ip addr add $net.1/24 dev dask-bridge
ip link set dask-bridge up
number=10
for host in scheduler worker1 worker2 worker3; do
    ip netns add "dask-$host"
    ip link add "veth$number" type veth peer name eth0 netns "dask-$host"
    ip link set "veth$number" master dask-bridge up
    ip -n "dask-$host" addr add "$net.$number/24" dev eth0
    ip -n "dask-$host" link set eth0 up
    ip -n "dask-$host" link set lo up
    number=$((number + 1))
done

python=$(command -v "$python")
case $python in /*) ;; *) python=$PWD/$python ;; esac
cd_and_run() { (cd "$folder" && exec ip netns exec "$@" >>"$folder/log" 2>&1) & }
cd_and_run dask-scheduler "$python" -m distributed.cli.dask_scheduler --host $net.10 --port 8786 --no-dashboard
for n in 1 2 3; do
    cd_and_run "dask-worker$n" "$python" -m distributed.cli.dask_worker "tcp://$net.10:8786" --nthreads 1 --no-dashboard --local-directory "$folder/$n"
done
tries=0
until "$python" -c "import socket; socket.create_connection(('$net.10', 8786), 1)" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 60 ] || { cat "$folder/log" >&2; exit 1; }
    sleep 1
done
"$@" --dask tcp://$net.10:8786
