"""One machine's grants, shared by its processes: the service, which speaks RESP over a Unix socket, and its clients."""
