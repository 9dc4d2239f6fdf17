"""bft: a Kubernetes-native ML trading platform with experiment tracking."""
