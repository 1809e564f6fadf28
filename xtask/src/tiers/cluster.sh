# A Kubernetes control plane with Traefik before it, for one run of the tests:
# `cluster.sh PROGRAMS TRAEFIK REPOSITORY ETCD_PORT PEER_PORT API_PORT HEALTH_PORT ENTRY_PORT`.
# Says `ready FOLDER` when it can be used, and lives until its standard input ends. Whoever holds the other end may
# therefore crash, be interrupted or be killed: everything stops and its files go all the same. There is no node, so no
# pod ever runs. Accounts and rights are those of deploy/.
#
# The folder holds
#   kubectl                 the program, with the operator's rights
#   kubeconfig              the operator's
#   portal.kubeconfig       that of the server's account, as deploy/base makes it
#   provisioner.kubeconfig  that of an account with the role of deploy/provisioner and no other
#   apiserver.sh PORT FOLDER FLAG..  runs another API server on the same data, for tests that want to kill one
set -eu
trap '' INT
programs=$1
traefik=$2
repository=$3
etcd=http://127.0.0.1:$4
peer=http://127.0.0.1:$5
api=$6
health=$7
entry=$8
folder=$(mktemp -d "${TMPDIR:-/tmp}/portal-cluster.XXXXXX")
started=
finish() {
    for process in $started; do kill "$process" 2>/dev/null && wait "$process" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' HUP TERM

fail() {
    tail -n 20 "$folder"/*.log >&2
    exit 1
}

kubectl() {
    "$programs/kubectl" --kubeconfig "$folder/kubeconfig" "$@" >>"$folder/kubectl.log" 2>&1
}

cd "$folder"
openssl ecparam -name prime256v1 -genkey -noout -out accounts.key
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "$password,operator,operator,\"system:masters\"" >tokens.csv

# Durability is not what these tests are about.
"$programs/etcd" --data-dir etcd --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer" \
    --unsafe-no-fsync >etcd.log 2>&1 </dev/null &
started="$!"
cat >apiserver.sh <<EOF
port=\$1
certs=\$2
shift 2
exec "$programs/kube-apiserver" --etcd-servers="$etcd" --bind-address=127.0.0.1 --secure-port="\$port" --cert-dir="\$certs" \
    --service-cluster-ip-range=10.96.0.0/16 --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$folder/accounts.key" --service-account-signing-key-file="$folder/accounts.key" \
    --token-auth-file="$folder/tokens.csv" --authorization-mode=RBAC "\$@"
EOF
sh apiserver.sh "$api" certs >apiserver.log 2>&1 </dev/null &
started="$! $started"
cat >kubeconfig <<EOF
apiVersion: v1
kind: Config
clusters:
  - {name: test, cluster: {server: "https://127.0.0.1:$api", certificate-authority: $folder/certs/apiserver.crt}}
users:
  - {name: operator, user: {token: $password}}
contexts:
  - {name: test, context: {cluster: test, user: operator}}
current-context: test
EOF

tries=0
until kubectl get --raw /readyz; do
    for process in $started; do kill -0 "$process" 2>/dev/null || fail; done
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || fail
    sleep 0.2
done
"$programs/kube-controller-manager" --kubeconfig=kubeconfig --service-account-private-key-file=accounts.key \
    --leader-elect=false --bind-address=127.0.0.1 --secure-port=0 >controllers.log 2>&1 </dev/null &
started="$! $started"
kubectl apply -f "$repository/xtask/kube-apiserver/ingressroutes.yaml" || fail
kubectl apply -f "$repository/xtask/kube-apiserver/traefik.yaml" || fail
kubectl apply -f "$repository/xtask/kube-apiserver/claims.yaml" || fail
kubectl wait --for=condition=Established --timeout=30s crd --all || fail
kubectl apply -k "$repository/deploy/base" || fail
kubectl apply -k "$repository/deploy/examples/sqlite" --dry-run=server >/dev/null || fail
kubectl apply -k "$repository/deploy/provisioner" || fail

# as ACCOUNT NAMESPACE FILE: a kubeconfig with the token of an account.
as() {
    token=$("$programs/kubectl" --kubeconfig kubeconfig create token "$1" --namespace "$2" --duration 24h) || fail
    sed "s/token: $password/token: $token/" kubeconfig >"$3"
}

kubectl create serviceaccount provisioner --namespace friend-portal || fail
kubectl create clusterrolebinding provisioner --clusterrole friend-portal-provisioner \
    --serviceaccount friend-portal:provisioner || fail
as friend-portal friend-portal portal.kubeconfig
as provisioner friend-portal provisioner.kubeconfig
as traefik traefik traefik.kubeconfig
cat >kubectl <<EOF
#!/bin/sh
exec "$programs/kubectl" --kubeconfig "$folder/kubeconfig" "\$@"
EOF
chmod +x kubectl

health="--ping=true --ping.entrypoint=health --entrypoints.health.address=127.0.0.1:$health"
# shellcheck disable=SC2086
KUBECONFIG="$folder/traefik.kubeconfig" "$traefik" $health --entrypoints.web.address="127.0.0.1:$entry" \
    --providers.kubernetescrd=true --providers.kubernetescrd.disableclusterscoperesources=true --providers.kubernetescrd.safenaming=true \
    --providers.kubernetesingress=true --providers.kubernetesgateway=true \
    --global.checknewversion=false --global.sendanonymoususage=false --log.level=INFO >traefik.log 2>&1 </dev/null &
started="$! $started"
tries=0
# shellcheck disable=SC2086
until "$traefik" healthcheck $health >>health.log 2>&1; do
    for process in $started; do kill -0 "$process" 2>/dev/null || fail; done
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || fail
    sleep 0.2
done
echo "ready $folder"
while read -r _; do :; done
