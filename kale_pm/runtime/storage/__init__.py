"""Variables as files: what shares objects is found, pickled, packed and mapped again."""
