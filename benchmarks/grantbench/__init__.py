"""Named workloads, the contenders that run them, and what measures and reports them."""
