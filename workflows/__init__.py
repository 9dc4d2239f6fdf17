"""hera programs, one per workflow; `rendered/` holds their YAML."""
