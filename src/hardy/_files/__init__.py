"""Small files that several processes change: taking turns, and replacing a file as a whole."""
