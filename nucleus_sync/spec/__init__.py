"""The spec: what `nucleus.yaml` declares. Nothing is imported here, so that commands without a spec start fast."""
