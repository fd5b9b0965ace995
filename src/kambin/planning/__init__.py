"""Planning the way in: where a channel or a needle can go, what it would touch, and how sure that is."""
