#!/bin/bash
# Formats the data folder, the first time, and starts the broker.
set -euo pipefail

home=${KAFKA_HOME:-/opt/kafka}
configuration=${1:-/etc/auditstream/server.properties}
data=$(sed -n 's/^log\.dirs=//p' "$configuration")

if [[ ! -e $data/meta.properties ]]; then
  # 16 random bytes in base64url: org.apache.kafka.common.Uuid. It must not look like an option.
  id=A$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 2-22)
  "$home/bin/kafka-storage.sh" format --config "$configuration" --cluster-id "$id"
fi
exec "$home/bin/kafka-server-start.sh" "$configuration"
