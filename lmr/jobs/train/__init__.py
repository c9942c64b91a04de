"""What global descriptors learn, and describing photos anew."""
