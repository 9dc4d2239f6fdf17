"""The words of bft: frozen types, schemas, sessions, errors. Standard library only."""
