#!/bin/sh
# Makes what must be secret, at the first start and never again: an authority, a certificate for each
# service, the key of redaction and the passwords of people. Nothing of it is in the image or in the
# repository; it lives in volumes, of which every service sees its own and no other.
#
#   identities.sh FOLDER     FOLDER/NAME is the volume of that service or person
#
# A second run makes what is missing. To have one made anew, delete its files and run it again.
# Certificates: RFC 5280, PEM (RFC 7468), keys in PKCS #8 (RFC 5958), ECDSA on P-256.
set -eu

folder=$1
days=${AUDITSTREAM_CERTIFICATE_DAYS:-825}
umask 077
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

say() { printf '%s\n' "$*"; }

# new FILE COMMAND...: what the command writes to its standard output, whole or not at all.
new() {
  file=$1
  shift
  "$@" > "$file.new"
  mv "$file.new" "$file"
}

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256; }

make_authority() {
  authority=$folder/authority
  if [ -s "$authority/ca.pem" ]; then return; fi
  mkdir -p "$authority"
  new "$authority/ca.key" new_key
  new "$authority/ca.pem" openssl req -x509 -new -sha256 -days 3650 -key "$authority/ca.key" \
    -config /dev/null -subj "/CN=auditstream authority" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -addext "subjectKeyIdentifier=hash"
  say "made an authority"
}

# identity NAME OWNER PRINCIPAL [HOST...]: whose common name is PRINCIPAL; a server has hosts.
identity() {
  name=$1 owner=$2 principal=$3
  shift 3
  place=$folder/$name
  if [ ! -e "$place/certificate.pem" ]; then
    mkdir -p "$place"
    {
      say "basicConstraints=critical,CA:FALSE"
      say "keyUsage=critical,digitalSignature"
      say "subjectKeyIdentifier=hash"
      say "authorityKeyIdentifier=keyid"
      if [ $# -gt 0 ]; then
        say "extendedKeyUsage=serverAuth,clientAuth"
        printf 'subjectAltName=IP:127.0.0.1'
        printf ',DNS:%s' "$@"
        printf '\n'
      else
        say "extendedKeyUsage=clientAuth"
      fi
    } > "$scratch/extensions"
    new "$place/key.pem" new_key
    openssl req -new -sha256 -config /dev/null -subj "/CN=$principal" -key "$place/key.pem" \
      -out "$scratch/request.pem"
    new "$scratch/certificate.pem" openssl x509 -req -sha256 -days "$days" \
      -in "$scratch/request.pem" -CA "$folder/authority/ca.pem" \
      -CAkey "$folder/authority/ca.key" -CAserial "$scratch/serial" -CAcreateserial \
      -extfile "$scratch/extensions"
    # Kafka wants key and certificate in one file.
    new "$place/pair.pem" cat "$place/key.pem" "$scratch/certificate.pem"
    new "$place/ca.pem" cat "$folder/authority/ca.pem"
    new "$place/certificate.pem" cat "$scratch/certificate.pem"
    say "made the identity $name"
  fi
  give "$place" "$owner"
}

# secret NAME OWNER FILE BYTES: random, in base64 without what a URL or a shell would take amiss.
secret() {
  place=$folder/$1
  if [ ! -e "$place/$3" ]; then
    mkdir -p "$place"
    openssl rand -base64 "$4" | tr -d '\n' | tr '+/' '-_' > "$place/$3.new"
    mv "$place/$3.new" "$place/$3"
    say "made the secret $1/$3"
  fi
  give "$place" "$2"
}

# give FOLDER OWNER: nobody else may read what is in it. The folder stays root's, who may come back
# without the right to look where it is not allowed. Who is not root gives nothing away.
give() {
  chmod 0755 "$1"
  if [ "$(id -u)" -eq 0 ]; then chown "$2" "$1"/*; fi
}

# room NAME MODE OWNER: a volume that its service writes, and keeps in order itself from then on.
room() {
  mkdir -p "$folder/$1"
  if [ "$(stat -c %u "$folder/$1")" -eq "$(id -u)" ]; then
    chmod "$2" "$folder/$1"
    if [ "$(id -u)" -eq 0 ]; then chown "$3" "$folder/$1"; fi
  fi
}

ours=10001:10001
make_authority
identity kafka 1000:1000 kafka kafka localhost
identity admin $ours admin
identity opensearch 1000:1000 opensearch opensearch localhost
identity opensearch-admin $ours opensearch-admin
identity dashboards 1000:1000 opensearch-dashboards dashboards localhost
identity registry 185:0 registry registry localhost
for role in topics collect ingest detect index reconcile; do
  identity "$role" $ours "auditstream-$role"
done
identity shipper $ours auditstream-collect
secret ingest $ours redaction.key 32
secret people $ours analyst 24
secret dashboards-setup $ours dashboards-setup 24
# What the broker writes, collectors read.
room broker-logs 0755 1000:1000
for name in kafka-data opensearch-data opensearch-snapshots dashboards-data; do
  room "$name" 0700 1000:1000
done
room registry-data 0700 185:0
room prometheus-data 0700 65534:65534
for name in work-collect work-ingest work-detect work-index work-reconcile vector-data; do
  room "$name" 0700 $ours
done
