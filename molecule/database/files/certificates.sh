#!/bin/sh
# Make an authority and a certificate of its for the host that is named, in this directory.
set -eu
key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
# shellcheck disable=SC2086 # the words of an option
openssl req -x509 $key -days 2 -addext basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.pem -subj /CN=lab
# shellcheck disable=SC2086
openssl req $key -keyout server.key -out server.csr -subj "/CN=$1"
echo "subjectAltName=DNS:$1" > names
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem
