"""What people say of matches."""
