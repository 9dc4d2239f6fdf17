"""Fields of the TWS protocol at server version 178, in and out."""
