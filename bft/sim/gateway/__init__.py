"""IB Gateway, simulated: the TWS wire protocol at server version 178, with invented prices."""
