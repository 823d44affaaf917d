"""What `edge-export evaluate` does: records as streams, picks of any picker, and their reckoning against labels."""
