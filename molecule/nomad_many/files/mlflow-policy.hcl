# What the role's README asks for, and no more.
namespace "default" {
  capabilities = ["submit-job", "read-job", "read-logs"]

  variables {
    path "nomad/jobs/mlflow" {
      capabilities = ["read", "write"]
    }
  }
}

host_volume "mlflow-*" {
  policy = "write"
}

agent {
  policy = "read"
}

node {
  policy = "read"
}
