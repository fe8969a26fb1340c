"""Kafka's protocol as its request log writes it: numbers, requests, secrets. Pure."""
