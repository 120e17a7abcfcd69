#!/usr/bin/env bash
# What an administrator types as root on a fresh Debian 12 to have an MLflow server, with pip.
# The packages are those of roles/mlflow_server/files/locks/mlflow-3.17.2.in; their versions are today's newest.
# NAME=… and PORT=… let a second server of this kind stand beside another one.
set -euo pipefail
NAME=${NAME:-mlflow} PORT=${PORT:-5000}

apt-get install --yes --quiet python3-venv
useradd --system --home-dir "/var/lib/$NAME" --create-home --shell /usr/sbin/nologin "$NAME"

python3 -m venv "/opt/$NAME"
"/opt/$NAME/bin/pip" install --quiet \
  'mlflow[auth]==3.17.2' 'psycopg[binary]' pymysql prometheus-flask-exporter

cat > "/etc/systemd/system/$NAME.service" <<EOF
[Unit]
Description=MLflow
After=network-online.target

[Service]
User=$NAME
WorkingDirectory=/var/lib/$NAME
ExecStart=/opt/$NAME/bin/mlflow server --host 0.0.0.0 --port $PORT \
  --backend-store-uri sqlite:////var/lib/$NAME/mlflow.db --artifacts-destination /var/lib/$NAME/artifacts
Restart=on-failure

[Install]
WantedBy=multi-user.target
EOF
systemctl daemon-reload
systemctl enable --now "$NAME.service"
timeout 300 bash -c "until curl --silent --fail http://127.0.0.1:$PORT/health; do sleep 0.5; done"
