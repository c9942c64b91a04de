"""What writes a collection: each job plans, executes and commits. Stopped at any moment, the same job goes on."""
