"""The live page: the executor at a glance, and the switches a person needs."""
