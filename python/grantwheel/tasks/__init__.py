"""Transient and continuous tasks: rules that know neither a clock nor a thread, and what ties them to a manager."""
