"""Asking an OpenAI-compatible server: requests, their retries, and answers kept on disk."""
