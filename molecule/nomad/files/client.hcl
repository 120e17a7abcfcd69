# As a user has it: a plugin block after the client's, into which an edit of this file would put a host volume.
data_dir = "/opt/nomad/data"

acl {
  enabled = true
}

client {
  enabled = true

  # Which Nomad doesn't find on a user-mode kernel.
  cpu_total_compute = 4000
}

plugin "docker" {
  config {
    allow_caps = ["all"]
  }
}
