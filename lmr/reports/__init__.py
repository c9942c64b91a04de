"""Pictures and pages: functions from data to an image or HTML. Pages load nothing from outside."""
