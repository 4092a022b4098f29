"""What grantwheel asks Linux: who a process is, and when it ends. Private."""
