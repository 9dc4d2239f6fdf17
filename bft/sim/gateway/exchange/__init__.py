"""The exchange as a pure state machine: orders, fills, groups, accounts. It asks no clock."""
