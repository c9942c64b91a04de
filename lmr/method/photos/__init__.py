"""Find photos, decode them safely, set aside with a reason what cannot be used."""
