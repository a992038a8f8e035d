"""A script as a program: its command line, its words, and runs that know its lines."""
