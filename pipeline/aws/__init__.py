"""What AWS writes of itself: CloudTrail's records, identities, resources, policies and changes."""
