"""The API client against a server that records every byte."""
