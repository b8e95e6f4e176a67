"""Other hosts: what runs on one, and how it is reached."""
