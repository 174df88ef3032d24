"""Disk, object stores, archives and videos: opened and written in one way."""
