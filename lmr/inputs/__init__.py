"""What people give: folders looked through, photos, folders and names told apart. Nothing is written."""
