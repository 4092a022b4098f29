"""What runs a manager: its one thread, who drives it, and the renewals of its holds. Private."""
