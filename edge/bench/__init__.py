"""What `edge-bench` measures; one file per sub-command."""
