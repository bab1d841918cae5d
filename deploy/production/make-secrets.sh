#!/bin/sh
# Makes what compose.yaml needs in ./secrets: passwords, the secret that tokens are signed with, and a certificate that
# nobody vouches for, good for trying things out. In production put the real ones there instead.
#
# make-secrets.sh [HOST]: for https://HOST, localhost without. What is there already stays.
set -eu
cd "$(dirname "$0")"
host=${1:-localhost}

# Containers read the files as users of their own; others on this machine do not get into the directory.
mkdir -p secrets
chmod 700 secrets
cd secrets

# secret FILE: letters and digits alone, since libnats before 3.10 decodes nothing in URLs.
secret() {
    [ -e "$1" ] || openssl rand -hex 32 | tr -d '\n' >"$1"
}

# hashed FILE: its SHA-256, as Redis writes passwords.
hashed() {
    openssl dgst -sha256 -r <"$1" | cut -d ' ' -f 1
}

secret jwt_secret
secret redis_password
secret redis_operator_password
secret nats_password
secret nats_analytics_password
secret nats_accounts_password

cat >nats_passwords.conf <<CONF
SLUICE_PASSWORD: "$(cat nats_password)"
ANALYTICS_PASSWORD: "$(cat nats_analytics_password)"
ACCOUNTS_PASSWORD: "$(cat nats_accounts_password)"
CONF

# sluice: its own keys. operator: the flags of companies and the API keys, which people or back ends write. Everybody
# else: PING.
cat >redis_users.acl <<ACL
user default on nopass resetkeys resetchannels -@all +ping
user sluice on #$(hashed redis_password) resetkeys ~sluice:* resetchannels -@all +@all -@dangerous
user operator on #$(hashed redis_operator_password) resetkeys ~sluice:features ~sluice:keys resetchannels -@all +ping +@hash +del +multi +exec +discard
ACL

if [ ! -e tls.crt ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj "/CN=$host" \
        -addext "subjectAltName=DNS:$host" -keyout tls.key -out tls.crt 2>/dev/null
fi
chmod 644 ./*
echo "The secrets are in deploy/production/secrets; tls.crt is for https://$host"
