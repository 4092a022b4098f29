"""What benchmarks/instructions.py is made of: counts of what calls do, by valgrind's callgrind."""
