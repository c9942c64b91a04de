"""The method: values in, values out. It knows no store and no settings."""
