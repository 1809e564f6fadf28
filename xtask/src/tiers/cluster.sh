# A Kubernetes control plane for one run of the tests: `cluster.sh PROGRAMS REPOSITORY ETCD_PORT PEER_PORT API_PORT`.
# Says `ready KUBECONFIG` when it can be used, and lives until its standard input ends. Whoever holds the other end may
# therefore crash, be interrupted or be killed: everything stops and its files go all the same. There is no node, so no
# pod ever runs. Accounts and rights are those of deploy/.
set -eu
trap '' INT
programs=$1
repository=$2
etcd=http://127.0.0.1:$3
peer=http://127.0.0.1:$4
api=$5
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
"$programs/kube-apiserver" --etcd-servers="$etcd" --bind-address=127.0.0.1 --secure-port="$api" --cert-dir=certs \
    --service-cluster-ip-range=10.96.0.0/16 --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file=accounts.key --service-account-signing-key-file=accounts.key \
    --token-auth-file=tokens.csv --authorization-mode=RBAC >apiserver.log 2>&1 </dev/null &
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
kubectl wait --for=condition=Established --timeout=30s crd/ingressroutes.traefik.io || fail
kubectl apply -k "$repository/deploy/base" || fail
kubectl apply -k "$repository/deploy/provisioner" || fail
echo "ready $folder/kubeconfig"
while read -r _; do :; done
