"""The record across a restart: read back, what a start writes of it, snapshots, and who keeps both fit."""
