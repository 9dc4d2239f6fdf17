"""The only I/O of bft; each module implements a port and knows `domain` and `ports` alone."""
